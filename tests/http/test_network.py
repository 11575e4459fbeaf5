"""Phases with a real round-trip time, and on a system without kernel timestamps."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.http import timed_socket
from probe.result import Phase
from tests.commands import COMMAND, environment
from tests.http.conftest import Serve
from tests.probing import run, run_median
from tests.raw_servers import always, delayed, http_response

pytestmark = pytest.mark.timing

ROUND_TRIP_SECONDS = 0.2
REFERENCE_SERVER = Path(__file__).parents[1] / "reference_times.py"


def test_without_kernel_timestamps(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS: the process's clock measures the same phases, and the result says so."""
    monkeypatch.setattr(timed_socket, "HAS_KERNEL_TIMESTAMPS", False)
    result = run_median(serve(delayed(0.1, http_response())).url())
    assert result.failure is None
    assert result.clock == "user"
    assert set(result.phases) == {Phase.CONNECT, Phase.SEND, Phase.WAIT, Phase.RECEIVE}
    assert result.phases[Phase.WAIT] == pytest.approx(0.1, abs=0.05)


def test_a_large_request_without_kernel_timestamps(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that does not leave at once has a phase `send`."""
    monkeypatch.setattr(timed_socket, "HAS_KERNEL_TIMESTAMPS", False)
    result = run(serve(always(http_response())).url(), body="x" * 4_000_000)
    assert result.failure is None
    assert result.phases[Phase.SEND] > 0


@pytest.fixture
def slow_loopback() -> Iterator[str]:
    """Yield a network namespace whose loopback takes half of ROUND_TRIP_SECONDS each way."""
    name = f"probe-{uuid.uuid4().hex[:8]}"
    if os.geteuid() or not (shutil.which("ip") and shutil.which("tc")):
        pytest.skip("needs root and iproute2, for a network namespace")
    if subprocess.run(["ip", "netns", "add", name], check=False).returncode:
        pytest.skip("needs network namespaces, which may not be made here")
    try:
        inside = ("ip", "netns", "exec", name)
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        delay = ("netem", "delay", f"{ROUND_TRIP_SECONDS / 2 * 1000:.0f}ms")
        netem = [*inside, "tc", "qdisc", "add", "dev", "lo", "root", *delay]
        if subprocess.run(netem, capture_output=True, check=False).returncode:
            pytest.skip("needs netem: the kernel's module sch_netem is missing")
        yield name
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def test_round_trips(slow_loopback: str, tmp_path: Path) -> None:
    """`connect` takes one round trip, and `wait` one in addition to the server's time."""
    inside = ("ip", "netns", "exec", slow_loopback)
    server = subprocess.Popen(
        [*inside, sys.executable, str(REFERENCE_SERVER), "0.1"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout
        config = tmp_path / "probe.yml"
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/"
        config.write_text(f"probes: [{{name: far, url: '{url}'}}]\n")
        done = subprocess.run(
            [*inside, *COMMAND, "once", f"--config.file={config}", "--output=json"],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        served = float(server.stdout.readline())
    finally:
        server.kill()
        server.communicate()
    [result] = json.loads(done.stdout)
    assert result["phases"]["connect"] == pytest.approx(ROUND_TRIP_SECONDS, abs=0.01)
    assert result["phases"]["wait"] == pytest.approx(ROUND_TRIP_SECONDS + served, abs=0.01)
