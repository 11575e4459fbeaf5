"""`promtool`: each test that uses the fixture runs with every promtool that is installed.

`newest_promtool` is for tests that would take too long with each of them.
"""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "promtool" in metafunc.fixturenames:
        first, *others = promtools()
        metafunc.parametrize(
            "promtool",
            [
                pytest.param(first, id=version_id(first)),
                *(
                    pytest.param(path, id=version_id(path), marks=pytest.mark.full)
                    for path in others
                ),
            ],
            indirect=True,
        )
    if "newest_promtool" in metafunc.fixturenames:
        newest = promtools()[-1]
        metafunc.parametrize("newest_promtool", [newest], ids=[version_id(newest)], indirect=True)


@pytest.fixture
def promtool(request: pytest.FixtureRequest) -> Path:
    return _existing(request)


@pytest.fixture
def newest_promtool(request: pytest.FixtureRequest) -> Path:
    """Return the last promtool, which is of the second generation if there is one."""
    return _existing(request)


def _existing(request: pytest.FixtureRequest) -> Path:
    if request.param is None:
        pytest.fail(
            "promtool is not on the PATH: install Debian's package `prometheus`, or put a "
            "directory that has it on the PATH (a second generation: PROMETHEUS_BIN_DIRS)"
        )
    path: Path = request.param
    if not path.exists():
        pytest.fail(f"PROMETHEUS_BIN_DIRS names {path.parent}, which has no promtool")
    return path


def promtools() -> list[Path | None]:
    """Return the promtool on the PATH, or None, and then those in PROMETHEUS_BIN_DIRS."""
    first = shutil.which("promtool")
    directories = filter(None, os.environ.get("PROMETHEUS_BIN_DIRS", "").split(os.pathsep))
    return [Path(first) if first else None, *(Path(path) / "promtool" for path in directories)]


@cache
def version_id(path: Path | None) -> str:
    if path is None:
        return "promtool-missing"
    if not path.exists():
        return f"{path}-missing"
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"version (\d+\.\d+\.\d+)", done.stdout + done.stderr)
    return f"promtool-{version[1]}" if version else str(path)
