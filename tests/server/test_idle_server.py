"""The HTTP server without requests."""

import re
import sys
import threading
import time
from pathlib import Path

import pytest
from starlette.applications import Starlette

from probe.clock import Clock
from probe.server.server import Server, bind
from tests.server.http_server_fixture import HttpServer

# More than the header `Date` needs in the time of a test.
MAX_WAKE_UPS = 6


def date(server: HttpServer) -> str:
    response = server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").decode()
    (value,) = re.findall(r"^date: (.*)\r$", response, re.MULTILINE)
    return str(value)


def test_the_date_is_current() -> None:
    """It is updated each second."""
    server = HttpServer()
    try:
        first, deadline = date(server), time.monotonic() + 4
        while date(server) == first:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        server.stop()


def test_a_server_without_requests_stops_at_once() -> None:
    """It does not wait for the next update of the header `Date`."""
    server = HttpServer()
    time.sleep(0.1)
    before = time.monotonic()
    server.stop()
    assert time.monotonic() - before < 0.8


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_server_without_requests_hardly_wakes_up() -> None:
    """Each wake-up takes 0.16 ms of CPU time."""
    before = set(threading.enumerate())
    server = Server(Starlette(), bind("127.0.0.1:0"), Clock())
    server.start()
    try:
        (thread,) = set(threading.enumerate()) - before
        status = Path(f"/proc/self/task/{thread.native_id}/status")
        wake_ups = _wake_ups(status)
        time.sleep(1.5)
        assert _wake_ups(status) - wake_ups < MAX_WAKE_UPS
    finally:
        server.stop()


def _wake_ups(status: Path) -> int:
    (count,) = re.findall(r"^voluntary_ctxt_switches:\s+(\d+)$", status.read_text(), re.MULTILINE)
    return int(count)
