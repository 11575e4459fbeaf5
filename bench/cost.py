"""What the daemon costs beside the probes: memory, scrapes, and a schedule that is full."""

import gzip
import http.client
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import our_daemon
from bench.processes import cpu_seconds, memory
from bench.reference_server import Log, Truth
from bench.workload import WARM_UP, Error, compare
from tests.commands import Running, running

ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
PAUSE = 0.5
"""Seconds between two scrapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident memory in MB: at the end, and at its highest."""

    resident: float
    highest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrapes:
    """Scrapes of a daemon with many probes; seconds, bytes."""

    probes: int
    durations: tuple[float, ...]
    size: int
    compressed: int
    cpu: float
    """Of one scrape."""
    quiet: tuple[Error, ...]
    """Of probes with no scrape going on; `scraped` of those during which one was."""
    scraped: tuple[Error, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The ticks of a schedule and what became of them."""

    ticks: int
    runs: int
    in_flight: int
    skipped: int
    failures: int

    @property
    def lost(self) -> int:
        return self.ticks - self.runs - self.skipped - self.in_flight


@contextmanager
def _command(truth: Truth, directory: Path, *, probes: int, tls: bool = False) -> Iterator[Running]:
    """`inference-probe run` as users run it, each probe once a second."""
    config = directory / "probe.yml"
    with truth.serving(tls=tls) as endpoint:
        our_daemon.write_config(config, endpoint, truth, probes=probes)
        with running(f"--config.file={config}") as command:
            yield command


def measure_memory(truth: Truth, directory: Path, seconds: float, *, tls: bool) -> Memory:
    """Of the command with 100 probes that is scraped now and then."""
    with _command(truth, directory, probes=100, tls=tls) as command:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(2)
            command.get("/metrics")
        resident, highest = memory(command.process.pid)
    return Memory(resident=resident, highest=highest)


def measure_schedule(truth: Truth, directory: Path, seconds: float) -> Account:
    """Of the command at 500 probes/s."""
    with _command(truth, directory, probes=500) as command:
        time.sleep(seconds)
        text = command.get("/metrics").text

    def total(name: str) -> int:
        lines = re.findall(rf"^inference_probe_{name}{{.*}} (.+)$", text, re.MULTILINE)
        return round(sum(map(float, lines)))

    return Account(
        ticks=total("ticks_total"),
        runs=total("runs_total"),
        in_flight=total("in_flight"),
        skipped=total("skipped_total"),
        failures=total("failures_total"),
    )


def measure_scrapes(truth: Truth, directory: Path, seconds: float, probes: int = 1000) -> Scrapes:
    """Scrape a daemon with so many probes, at 100 probes/s, again and again."""
    config = directory / "probe.yml"
    spans = []
    with truth.serving(tls=False) as endpoint:
        our_daemon.write_config(
            config, endpoint, truth, probes=probes, interval=f"{probes // 100}s"
        )
        with our_daemon.daemon(config) as daemon:
            time.sleep(WARM_UP)
            since, cpu = time.time(), 0.0
            while time.time() < since + seconds:
                before, began = cpu_seconds(daemon.process.pid), time.time()
                body = scrape(daemon.port)
                spans.append((began, time.time()))
                cpu += cpu_seconds(daemon.process.pid) - before
                time.sleep(PAUSE)
            daemon.stop()
            claims = daemon.claims()
    errors, _ = compare(claims, Log.read(endpoint.log.read_text()), since=since)
    scraped = tuple(error for error in errors if overlaps(error, spans))
    return Scrapes(
        probes=probes,
        durations=tuple(end - begin for begin, end in spans),
        size=len(gzip.decompress(body)),
        compressed=len(body),
        cpu=cpu / len(spans),
        quiet=tuple(error for error in errors if error not in scraped),
        scraped=scraped,
    )


def overlaps(error: Error, spans: list[tuple[float, float]]) -> bool:
    """Whether any of these spans of time was under way during a probe."""
    return any(begin < error.ended and error.started < end for begin, end in spans)


def scrape(port: int) -> bytes:
    """The metrics as Prometheus asks for them, not unpacked: that is not the daemon's work."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip"}
    connection.request("GET", "/metrics", headers=headers)
    try:
        return connection.getresponse().read()
    finally:
        connection.close()
