"""`promtool`: a test that asks for it runs with every generation that is found, and says which."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "promtool" in metafunc.fixturenames:
        first, *others = found()
        paths = [
            pytest.param(first, id=named(first)),
            *(pytest.param(path, id=named(path), marks=pytest.mark.full) for path in others),
        ]
        metafunc.parametrize("promtool", paths, indirect=True)


@pytest.fixture
def promtool(request: pytest.FixtureRequest) -> Path:
    if request.param is None:
        pytest.fail(
            "promtool is not on the PATH: install Debian's package `prometheus`, or put a "
            "directory that has it on the PATH (a second generation: PROMETHEUS_BIN_DIRS)"
        )
    path: Path = request.param
    if not path.exists():
        pytest.fail(f"PROMETHEUS_BIN_DIRS names {path.parent}, which has no promtool")
    return path


def found() -> list[Path | None]:
    """The promtool of the PATH, None if there is none, and those in PROMETHEUS_BIN_DIRS."""
    first = shutil.which("promtool")
    others = [Path(it) for it in os.environ.get("PROMETHEUS_BIN_DIRS", "").split(os.pathsep) if it]
    return [Path(first) if first else None, *[directory / "promtool" for directory in others]]


def named(path: Path | None) -> str:
    if path is None:
        return "promtool-missing"
    if not path.exists():
        return f"{path}-missing"
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"version (\d+\.\d+\.\d+)", said.stdout + said.stderr)
    return f"promtool-{version[1]}" if version else str(path)
