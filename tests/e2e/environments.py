"""Virtual environments of model servers, whose dependencies conflict with those of this project."""

import fcntl
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def install(cache: Path, python: str, requirements: Sequence[str]) -> Path:
    """Install `requirements` once for all test processes, and return the directory of programs."""
    environment = cache / "-".join(requirements).replace("==", "-")
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (environment / "complete").exists():
            shutil.rmtree(environment, ignore_errors=True)
            run(python, "-m", "venv", str(environment))
            pip = (str(environment / "bin/python"), "-m", "pip", "--disable-pip-version-check")
            run(*pip, "install", "--quiet", *requirements)
            (environment / "complete").touch()
    return environment / "bin"


def run(
    *command: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Run a command that must exit with 0."""
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
