"""Find the programs that the benchmarks compare with, and their versions."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


def find(environ: Mapping[str, str], *names: str) -> list[Path]:
    """Return each program with one of these names in PROMETHEUS_BIN_DIRS and on the PATH."""
    search_path = f"{environ.get('PROMETHEUS_BIN_DIRS', '')}{os.pathsep}{environ.get('PATH', '')}"
    paths = [
        shutil.which(name, path=directory)
        for directory in search_path.split(os.pathsep)
        if directory
        for name in names
    ]
    return [Path(path) for path in dict.fromkeys(paths) if path]


def version(program: Path) -> tuple[int, ...]:
    """Return the version, such as (0, 28, 0); empty if it is unknown."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    number = re.search(r"version (\d+(?:\.\d+)+)", done.stdout + done.stderr)
    return tuple(map(int, number[1].split("."))) if number else ()
