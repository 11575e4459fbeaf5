"""Real programs, each a process on a free port of this machine."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.demo.stack import Binaries, Stack
from tests.e2e.observer import FACTOR


def generations() -> dict[str, str]:
    """By version of Prometheus: the PATH, and each directory of PROMETHEUS_BIN_DIRS."""
    more = os.environ.get("PROMETHEUS_BIN_DIRS", "").split(os.pathsep)
    paths = [os.environ.get("PATH", ""), *filter(None, more)]
    return {_version(path): path for path in paths if shutil.which("prometheus", path=path)}


def _version(path: str) -> str:
    binary = shutil.which("prometheus", path=path) or ""
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\S+)", done.stdout + done.stderr)
    return found[1] if found else "unknown"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses `search_path` with each generation; all but the first are `full`."""
    if "search_path" in metafunc.fixturenames:
        paths = [
            pytest.param(path, id=f"prometheus-{version}", marks=pytest.mark.full if index else ())
            for index, (version, path) in enumerate(generations().items())
        ]
        metafunc.parametrize("search_path", paths or [pytest.param("", id="prometheus-missing")])


@pytest.fixture
def binaries(search_path: str) -> Binaries:
    """Of each generation. It costs a minute each time: promtool tests the rules with both, too."""
    return _find(search_path)


@pytest.fixture(scope="session")
def newest_binaries() -> Binaries:
    found = generations()
    newest = max(found, key=lambda version: list(map(int, re.findall(r"\d+", version))), default="")
    return _find(found.get(newest, ""))


def _find(search_path: str) -> Binaries:
    found = Binaries.find(search_path)
    assert found, "install prometheus and alertmanager, or put them on the PATH"
    return found


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path, factor=FACTOR, stop=threading.Event()) as stack:
        yield stack
