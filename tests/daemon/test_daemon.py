"""The daemon as a process: probing, stopping, health and log."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import requests
import yaml

from probe.clock import NS_PER_SECOND, Clock
from probe.config.settings import Probe, Settings
from probe.daemon.daemon import Daemon
from probe.prober.prober import Prober
from probe.result import Result
from probe.scheduler import token_estimate
from probe.scheduler.token_estimate import TokenEstimate
from probe.server.server import bind
from probe.threads import Task, ThreadCache
from tests.builders import make_result, make_settings
from tests.commands import environment, running
from tests.servers import OK, never_respond, respond_with, serve

pytestmark = pytest.mark.timing


def _config(directory: Path, *probes: Mapping[str, object], **defaults: object) -> str:
    path = directory / "probe.yml"
    path.write_text(
        yaml.safe_dump({"defaults": defaults, "probes": [dict(probe) for probe in probes]})
    )
    return f"--config.file={path}"


def test_flags_without_a_file() -> None:
    """`run --url --slo` probes, counts and exports the objective."""
    with (
        serve(respond_with()) as url,
        running(f"--url={url}predict", "--slo=99% < 500ms", "--interval=100ms") as daemon,
    ):
        daemon.wait_for("inference_probe_runs_total", 3)
        name = url.removeprefix("http://") + "predict"
        objective = (
            f'{{probe="{name}",slo="fast",signal="latency",threshold="0.5",alert="page"}} 0.99'
        )
        assert objective in daemon.get("/metrics").text
        assert daemon.total("inference_probe_latency_seconds_count") >= 3
        assert daemon.terminate() == 0


def test_environment_variables_only() -> None:
    """A container needs neither a file nor flags."""
    with serve(respond_with()) as url:
        environ = {
            "INFERENCE_PROBE_URL": url,
            "INFERENCE_PROBE_SLO": "99.9%",
            "INFERENCE_PROBE_INTERVAL": "100ms",
            "INFERENCE_PROBE_NAME": "mine",
            "INFERENCE_PROBE_LOG_FORMAT": "logfmt",
        }
        with running(environ=environ) as daemon:
            daemon.wait_for("inference_probe_runs_total", 2)
            assert 'threshold="+Inf"' in daemon.get("/metrics").text


FAILING_START = """
from probe.cli.main import main
from probe.daemon.daemon import Daemon

def start(self):
    raise RuntimeError("no thread left")

Daemon.start = start
main()
"""


def test_running_is_logged_after_the_start() -> None:
    """A daemon that fails to start does not say that it is running."""
    flags = ("--url=http://127.0.0.1:1/", "--web.listen-address=127.0.0.1:0")
    process = subprocess.run(
        [sys.executable, "-c", FAILING_START, "run", *flags],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode != 0
    assert "no thread left" in process.stderr
    assert "is running" not in process.stderr


def test_on_demand_probes_change_no_metric(tmp_path: Path) -> None:
    """`/probe` runs the configured probe and is counted nowhere."""
    with (
        serve(respond_with()) as url,
        running(_config(tmp_path, {"name": "m", "url": url}, interval="1h")) as daemon,
    ):
        result = daemon.get("/probe?name=m").json()
        assert (result["success"], result["cached"]) == (True, False)
        for metric in ("runs_total", "ticks_total", "latency_seconds_count", "failures_total"):
            assert daemon.total(f"inference_probe_{metric}") == 0


def test_200_probes_a_second_lose_no_tick(tmp_path: Path) -> None:
    """Of 200 probes, each once per second, no tick is skipped and all are accounted for.

    This takes ten seconds; `python -m bench.ticks` does a minute.
    """
    probes: list[dict[str, object]] = [{"name": f"model-{n}"} for n in range(200)]
    with serve(respond_with(delay=0.02)) as url:
        config = _config(tmp_path, *probes, url=url, interval="1s", timeout="2s")
        with running(config) as daemon:
            time.sleep(10)
            text = daemon.get("/metrics").text
            assert daemon.terminate() == 0
    totals = {
        name: sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith(f"inference_probe_{name}{{")
        )
        for name in ("ticks_total", "runs_total", "skipped_total", "in_flight", "failures_total")
    }
    assert totals["ticks_total"] == totals["runs_total"] + totals["in_flight"]
    assert (totals["skipped_total"], totals["failures_total"]) == (0, 0)
    assert totals["ticks_total"] >= 1900


def test_a_hanging_endpoint_delays_no_probe(tmp_path: Path) -> None:
    """Probes start on time while earlier ones are in flight: no coordinated omission."""
    probe = {"name": "m", "interval": "200ms", "timeout": "2s", "startup_grace": "0s"}
    with serve(never_respond) as url, running(_config(tmp_path, {**probe, "url": url})) as daemon:
        daemon.wait_for("inference_probe_ticks_total", 15)
        assert daemon.total("inference_probe_in_flight") >= 9
        assert daemon.total("inference_probe_skipped_total") == 0
        text = daemon.get("/metrics").text
    assert 'failures_total{probe="m",reason="first_byte_timeout"} 0.0' not in text


def test_stopping_drains(tmp_path: Path) -> None:
    """After SIGTERM no probe starts, those in flight finish, and scrapes are served meanwhile.

    The pages say that the daemon is stopping.
    """
    started = []

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        started.append(time.monotonic())
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(1.5)
        writer.write(OK)
        await writer.drain()

    config = _config(tmp_path, {"name": "m", "interval": "400ms", "timeout": "5s"})
    with serve(slow) as url:
        (tmp_path / "probe.yml").write_text(
            (tmp_path / "probe.yml").read_text().replace("name: m", f"name: m\n  url: {url}")
        )
        with running(config) as daemon:
            daemon.wait_for("inference_probe_in_flight", 2)
            daemon.process.send_signal(signal.SIGTERM)
            stopped = time.monotonic()
            time.sleep(0.7)
            ticks = daemon.total("inference_probe_ticks_total")
            assert daemon.total("inference_probe_in_flight") >= 1
            assert "Stopping" in daemon.get("/api/v1/probes").json()["standstill"]
            time.sleep(0.3)
            assert daemon.total("inference_probe_ticks_total") == ticks
            assert daemon.process.wait(5) == 0
    assert max(started) < stopped + 0.2


def test_stopping_gives_up_hanging_probes(tmp_path: Path) -> None:
    """The drain ends with the longest timeout, also if an endpoint hangs for longer."""
    probe = {"name": "m", "interval": "200ms", "timeout": "1s"}
    with serve(never_respond) as url, running(_config(tmp_path, {**probe, "url": url})) as daemon:
        daemon.wait_for("inference_probe_in_flight", 2)
        began = time.monotonic()
        assert daemon.terminate() == 0
        assert time.monotonic() - began < 4


def test_the_drain_is_no_longer_than_the_longest_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if a probe misses its deadline because of a bug."""
    running, released = threading.Event(), threading.Event()

    def run(*_: object) -> Result:
        running.set()
        released.wait(30)
        return make_result()

    monkeypatch.setattr(Prober, "run", run)
    probe = {"name": "model", "url": "http://127.0.0.1:1/", "interval": "200ms", "timeout": "1s"}
    daemon = Daemon(
        make_settings(tmp_path, probe),
        bind("127.0.0.1:0"),
        environ={},
        base=tmp_path,
        clock=Clock(),
    )
    daemon.start()
    try:
        assert running.wait(10)
        began = time.monotonic()
        daemon.stop()
        assert time.monotonic() - began < 6
    finally:
        released.set()


def test_a_hung_scheduler_is_not_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`/-/healthy` and the pages report a hung scheduler. A paused daemon is healthy."""
    hung, released, ahead = threading.Event(), threading.Event(), 0
    original = ThreadCache.submit

    def submit(threads: ThreadCache, task: Task) -> None:
        if threads._name == "probe":  # not the threads of the server
            hung.set()
            released.wait(30)
        else:
            original(threads, task)

    monkeypatch.setattr(ThreadCache, "submit", submit)
    listener = bind("127.0.0.1:0")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    daemon = Daemon(
        make_settings(tmp_path, {"name": "m", "url": "http://127.0.0.1:1/", "interval": "200ms"}),
        listener,
        environ={},
        base=tmp_path,
        clock=Clock(monotonic=lambda: time.monotonic_ns() + ahead),
        enable_lifecycle=True,
    )
    daemon.start()
    try:
        assert hung.wait(10)
        requests.post(f"{url}/-/pause", timeout=10).raise_for_status()
        assert requests.get(f"{url}/-/healthy", timeout=10).status_code == 200
        assert "Paused" in requests.get(f"{url}/api/v1/probes", timeout=10).json()["standstill"]
        requests.post(f"{url}/-/resume", timeout=10).raise_for_status()
        ahead = 11 * NS_PER_SECOND
        assert requests.get(f"{url}/-/healthy", timeout=10).status_code == 503
        body = requests.get(f"{url}/api/v1/probes/m/results", timeout=10).json()
        assert "scheduler has stopped" in body["standstill"]
    finally:
        released.set()
        daemon.stop()


def test_failures_of_a_starting_model_do_not_count(tmp_path: Path) -> None:
    """Until the first success failures are `startup`, not in a histogram, and suspended."""
    probe = {"name": "m", "url": "http://127.0.0.1:1/", "interval": "100ms"}
    with running(_config(tmp_path, probe)) as daemon:
        daemon.wait_for("inference_probe_failures_total", 3)
        text = daemon.get("/metrics").text
        assert 'suspended{probe="m",reason="startup"} 1.0' in text
        assert 'failures_total{probe="m",reason="refused"} 0.0' in text
        assert daemon.total("inference_probe_latency_seconds_count") == 0
        assert daemon.get("/probe?name=m").json()["reason"] == "refused"


def test_log_lines_are_fields(tmp_path: Path) -> None:
    """At level debug each failure is one line with probe, reason and detail."""
    probe = {"name": "m", "url": "http://127.0.0.1:1/", "interval": "100ms", "startup_grace": "0s"}
    config = _config(tmp_path, probe)
    with running(config, "--log.level=debug") as daemon:
        daemon.wait_for("inference_probe_failures_total", 1)
        daemon.terminate()
        lines = daemon.log().splitlines()
    failures = [line for line in lines if 'msg="probe failed"' in line]
    assert failures
    assert "probe=m reason=refused detail=" in failures[0]
    assert json.loads(failures[0].partition("detail=")[2].partition('" ')[0] + '"')


def test_a_state_change_is_logged_once(tmp_path: Path) -> None:
    """At level info an outage begins with one line, however long it lasts."""
    probe = {"name": "m", "url": "http://127.0.0.1:1/", "interval": "100ms", "startup_grace": "0s"}
    with running(_config(tmp_path, probe)) as daemon:
        daemon.wait_for("inference_probe_failures_total", 5)
        daemon.terminate()
        lines = daemon.log().splitlines()
    failing = [line for line in lines if 'msg="probe is failing" probe=m reason=refused' in line]
    assert len(failing) == 1


def test_no_signal_is_lost(tmp_path: Path) -> None:
    """The daemon ends on SIGTERM right after SIGHUP, while many threads run."""
    probes = [{"name": f"m{n}", "interval": "100ms", "timeout": "1s"} for n in range(20)]
    with serve(never_respond) as url:
        config = _config(tmp_path, *probes, url=url)
        for _ in range(2):
            with running(config) as daemon:
                daemon.wait_for("inference_probe_in_flight", 100)
                daemon.process.send_signal(signal.SIGHUP)
                assert daemon.terminate() == 0


def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    """The second SIGINT skips the drain."""
    probe = {"name": "m", "interval": "200ms", "timeout": "9s"}
    with serve(never_respond) as url, running(_config(tmp_path, {**probe, "url": url})) as daemon:
        daemon.wait_for("inference_probe_in_flight", 2)
        daemon.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        began = time.monotonic()
        daemon.process.send_signal(signal.SIGINT)
        daemon.process.wait(5)
        assert time.monotonic() - began < 2


def test_the_garbage_collector_runs_after_the_start() -> None:
    """It is off only while the daemon is built."""
    with running("--url=http://127.0.0.1:9/", "--interval=100ms") as daemon:
        before = daemon.total("python_gc_collections_total")
        daemon.wait_for("python_gc_collections_total", before + 1)


def test_each_request_body_is_estimated_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start and a reload read a body for its probe, and not again for the advice about it."""
    estimated = list[str]()

    def estimate(probe: Probe) -> TokenEstimate:
        estimated.append(probe.name)
        return TokenEstimate(input=60, output=40, has_limit=True)

    monkeypatch.setattr(token_estimate, "estimate_tokens", estimate)

    def settings(*names: str) -> Settings:
        keys = {"url": "http://127.0.0.1:1/", "budget": {"tokens_per_day": 100}, "interval": "1h"}
        probes = [{"name": name, "json": {"prompt": "hi"}, **keys} for name in names]
        return make_settings(tmp_path, *probes)

    with bind("127.0.0.1:0") as listener:
        daemon = Daemon(
            settings("a"),
            listener,
            environ={},
            base=tmp_path,
            clock=Clock(),
            load_config=lambda: settings("a", "b"),
        )
        assert estimated == ["a"]
        assert any("`tokens_per_day`" in text for text in daemon.reload.start_advice)
        daemon.reload()
        assert estimated == ["a", "b"]
