"""Fixtures that run Prometheus, Alertmanager and the daemon as processes."""

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
    """Return the search paths by Prometheus version: PATH, then each of PROMETHEUS_BIN_DIRS."""
    more = os.environ.get("PROMETHEUS_BIN_DIRS", "").split(os.pathsep)
    paths = [os.environ.get("PATH", ""), *filter(None, more)]
    return {_version(path): path for path in paths if shutil.which("prometheus", path=path)}


def _version(path: str) -> str:
    binary = shutil.which("prometheus", path=path) or ""
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    match = re.search(r"version (\S+)", done.stdout + done.stderr)
    return match[1] if match else "unknown"


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
    """Return the programs of one generation. A test runs once for each generation."""
    return _find(search_path)


@pytest.fixture(scope="session")
def newest_binaries() -> Binaries:
    paths = generations()
    newest = max(paths, key=lambda version: list(map(int, re.findall(r"\d+", version))), default="")
    return _find(paths.get(newest, ""))


def _find(search_path: str) -> Binaries:
    binaries = Binaries.find(search_path)
    assert binaries, "install prometheus and alertmanager, or put them on the PATH"
    return binaries


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path, factor=FACTOR, stop=threading.Event()) as stack:
        yield stack
