"""The cost of the daemon apart from its probes: memory, scrapes, and a full schedule."""

import gzip
import http.client
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.daemon import run_daemon, write_config
from bench.processes import cpu_seconds, memory, proportional_memory
from bench.reference_server import ReferenceServer, RequestLog
from bench.workload import WARM_UP_SECONDS, TimingError, compare
from tests.commands import COMMAND, Running, running

METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
PAGE = "text/html"
SCRAPE_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory of a daemon in MB: resident at the end and at its highest, and proportional."""

    resident: float
    highest: float
    proportional: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrapes:
    """Scrapes of a daemon with many probes: seconds and bytes, CPU seconds of one scrape.

    The errors are those of the probes that ran `during` a scrape, and of the `other` ones.
    """

    probes: int
    durations: tuple[float, ...]
    size: int
    compressed: int
    cpu: float
    during: tuple[TimingError, ...]
    other: tuple[TimingError, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TickCounts:
    """Counters of a daemon, summed over its probes."""

    ticks: int
    runs: int
    in_flight: int
    skipped: int
    failures: int

    @property
    def lost(self) -> int:
        return self.ticks - self.runs - self.skipped - self.in_flight


@contextmanager
def _run_command(
    server: ReferenceServer, directory: Path, *, probes: int, tls: bool = False
) -> Iterator[Running]:
    """Run `inference-probe run` as users do, with an interval of one second."""
    config = directory / "probe.yml"
    with server.run(tls=tls) as endpoint:
        write_config(config, endpoint, server, probes=probes)
        # A forked daemon would have the modules of all commands.
        with running(f"--config.file={config}", command=COMMAND) as command:
            yield command


def measure_memory(
    server: ReferenceServer, directory: Path, seconds: float, *, tls: bool
) -> Memory:
    """Measure the memory of the command with 100 probes, scraped every 2 s, and its page loaded."""
    with _run_command(server, directory, probes=100, tls=tls) as command:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(2)
            command.get("/metrics")
            command.get("/")
        resident, highest = memory(command.process.pid)
        proportional = proportional_memory(command.process.pid)
    return Memory(resident=resident, highest=highest, proportional=proportional)


def measure_schedule(server: ReferenceServer, directory: Path, seconds: float) -> TickCounts:
    """Return the counters of the command after `seconds` at 500 probes/s."""
    with _run_command(server, directory, probes=500) as command:
        time.sleep(seconds)
        metrics = command.get("/metrics").text

    def total(name: str) -> int:
        values = re.findall(rf"^inference_probe_{name}{{.*}} (.+)$", metrics, re.MULTILINE)
        return round(sum(map(float, values)))

    return TickCounts(
        ticks=total("ticks_total"),
        runs=total("runs_total"),
        in_flight=total("in_flight"),
        skipped=total("skipped_total"),
        failures=total("failures_total"),
    )


def measure_scrapes(
    server: ReferenceServer, directory: Path, seconds: float, probes: int = 1000
) -> Scrapes:
    """Scrape a daemon with `probes` probes repeatedly, at 100 probes/s."""
    config = directory / "probe.yml"
    spans = []
    with server.run(tls=False) as endpoint:
        write_config(config, endpoint, server, probes=probes, interval=f"{probes // 100}s")
        with run_daemon(config) as daemon:
            time.sleep(WARM_UP_SECONDS)
            since, cpu = time.time(), 0.0
            while time.time() < since + seconds:
                cpu_before, started = cpu_seconds(daemon.process.pid), time.time()
                body = fetch(daemon.port, "/metrics", METRICS)
                spans.append((started, time.time()))
                cpu += cpu_seconds(daemon.process.pid) - cpu_before
                time.sleep(SCRAPE_PAUSE_SECONDS)
            daemon.stop()
            reports = daemon.reported_times()
    errors, _ = compare(reports, RequestLog.parse(endpoint.log.read_text()), since=since)
    during = tuple(error for error in errors if overlaps(error, spans))
    return Scrapes(
        probes=probes,
        durations=tuple(end - start for start, end in spans),
        size=len(gzip.decompress(body)),
        compressed=len(body),
        cpu=cpu / len(spans),
        during=during,
        other=tuple(error for error in errors if error not in during),
    )


def overlaps(error: TimingError, spans: list[tuple[float, float]]) -> bool:
    """Return whether the probe ran during one of the spans (start and end, Unix time)."""
    return any(start < error.ended and error.started < end for start, end in spans)


def fetch(port: int, path: str, accept: str) -> bytes:
    """Return a response of the daemon as Prometheus and browsers get it, still compressed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Accept": accept, "Accept-Encoding": "gzip"}
    connection.request("GET", path, headers=headers)
    try:
        return connection.getresponse().read()
    finally:
        connection.close()
