"""Scrapes while many clients request pages as fast as they get them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import yaml

from tests.commands import Running, running

pytestmark = pytest.mark.full  # saturates the machine for half a minute

CLIENTS = """
import sys, threading
from http.client import HTTPConnection

host, path, clients = sys.argv[1:]

def read():
    while True:
        try:
            connection = HTTPConnection(host, timeout=60)
            while True:
                connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
                connection.getresponse().read()
        except OSError:
            pass

for _ in range(int(clients)):
    threading.Thread(target=read).start()
"""


@contextmanager
def flood(daemon: Running, path: str, clients: int) -> Iterator[None]:
    """Run `clients` threads that request `path`, in another process."""
    host = daemon.url.removeprefix("http://")
    process = subprocess.Popen([sys.executable, "-c", CLIENTS, host, path, str(clients)])
    try:
        time.sleep(3)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    path = tmp_path_factory.mktemp("floods") / "probe.yml"
    probes = [{"name": f"m{n}", "url": "http://127.0.0.1:9/", "interval": "5s"} for n in range(100)]
    Path(path).write_text(yaml.safe_dump({"probes": probes}))
    with running(f"--config.file={path}") as daemon:
        time.sleep(6)  # each probe has results
        yield daemon


@pytest.mark.parametrize(
    ("path", "clients"), [("/metrics", 100), ("/probes/m1", 60), ("/api/v1/probes", 60)]
)
def test_scrapes_during_a_flood(daemon: Running, path: str, clients: int) -> None:
    """A scrape takes at most a few seconds, whatever other clients request."""
    with flood(daemon, path, clients):
        seconds = []
        for _ in range(5):
            start = time.monotonic()
            assert requests.get(f"{daemon.url}/metrics", timeout=60).status_code == 200
            seconds.append(time.monotonic() - start)
    assert min(seconds) < 3
