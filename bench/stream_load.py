"""A daemon with 100 streams at a time, and its other probes meanwhile."""

import json
import re
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import requests
import yaml

from bench.daemon import probe_name, run_daemon
from bench.processes import cpu_seconds
from bench.reference_server import ReferenceServer, RequestLog, StreamShape
from bench.stream_daemon import stream_probe
from bench.verdict import Verdict
from bench.workload import ReportedTimes, compare

# 50 tokens/s in streams of 2 s, which begin every 2.5 s.
SHAPE = StreamShape(first_token=0.1, tokens=96, gap=0.02)
INTERVAL_SECONDS = 2.5
STREAMS = 100

# Probes of an endpoint that responds after 20 ms, each twice a second.
NEIGHBORS = 10
NEIGHBOR_INTERVAL = "500ms"

# All probes have begun, and the first results have been recorded.
WARM_UP_SECONDS = 4.0

MAX_NEIGHBOR_ERROR_MS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLoad:
    """What was measured."""

    streams: float
    """Mean number of streams at a time."""
    tokens: int
    failed: int
    """Probes that failed, of both kinds."""
    unbalanced: int
    """Probes whose ticks are not the sum of runs, skipped ticks and runs in flight."""
    skipped: int
    """Ticks, most of which are late because the host is too busy."""
    neighbor_error: float
    """Median of the latency of the other probes minus the true one (seconds)."""
    cpu: float
    """CPU seconds of the daemon per token."""

    def verdicts(self) -> list[Verdict]:
        where = f"{self.streams:.0f} streams"
        return [
            Verdict(
                criterion="probes with ticks not accounted for",
                where=where,
                value=self.unbalanced,
                bound=0,
            ),
            Verdict(criterion="failures", where=where, value=self.failed, bound=0),
            Verdict(
                criterion="median error of other probes",
                where=where,
                value=abs(self.neighbor_error) * 1e3,
                unit="ms",
                bound=MAX_NEIGHBOR_ERROR_MS,
            ),
        ]


def measure(
    server: ReferenceServer, directory: Path, seconds: float, *, streams_at_a_time: int = STREAMS
) -> StreamLoad:
    """Run the daemon for `seconds` after its warm-up."""
    count = round(streams_at_a_time * INTERVAL_SECONDS / SHAPE.seconds)
    config = directory / "probe.yml"
    with ExitStack() as stack:
        streams = stack.enter_context(server.run(tls=False, streams=SHAPE))
        plain = stack.enter_context(server.run(tls=False))
        probes = [stream_probe(streams, number) for number in range(1, count + 1)]
        neighbors = range(count + 1, count + 1 + NEIGHBORS)
        probes += [
            {
                "name": probe_name(number),
                "url": f"{plain.url}{number}",
                "interval": NEIGHBOR_INTERVAL,
            }
            for number in neighbors
        ]
        defaults = {"interval": f"{INTERVAL_SECONDS}s", "timeout": "20s"}
        config.write_text(yaml.safe_dump({"defaults": defaults, "probes": probes}))
        daemon = stack.enter_context(run_daemon(config))
        time.sleep(WARM_UP_SECONDS)
        since, cpu_before = time.time(), cpu_seconds(daemon.process.pid)
        time.sleep(seconds)
        until, cpu = time.time(), cpu_seconds(daemon.process.pid) - cpu_before
        metrics = requests.get(f"http://127.0.0.1:{daemon.port}/metrics", timeout=60).text
        daemon.stop()
        results = [json.loads(line) for line in daemon.results.read_text().splitlines()]
    # Those that ended in the time of the measured CPU.
    ended = [result for result in results if since <= result["started"] + result["total"] < until]
    measured = [result for result in ended if result["tokens"]]
    tokens = sum(result["tokens"] for result in measured)
    reports = list(_neighbor_reports(ended, neighbors))
    errors, failed = compare(reports, RequestLog.parse(plain.log.read_text()), since=since)
    return StreamLoad(
        streams=sum(result["total"] for result in measured) / seconds,
        tokens=tokens,
        failed=failed + sum(result["failed"] for result in ended if _number(result) <= count),
        unbalanced=_unbalanced(metrics),
        skipped=round(sum(_counters(metrics, "skipped_total").values())),
        neighbor_error=median(error.total for error in errors),
        cpu=cpu / max(1, tokens),
    )


def _number(result: dict[str, Any]) -> int:
    return int(result["probe"].rpartition("-")[2])


def _neighbor_reports(
    results: Iterable[dict[str, Any]], neighbors: range
) -> Iterable[ReportedTimes]:
    for result in results:
        if (number := _number(result)) in neighbors:
            yield ReportedTimes(
                number=number,
                started=result["started"],
                wait=result["wait"],
                total=result["total"],
                failed=result["failed"],
            )


def _unbalanced(metrics: str) -> int:
    ticks, runs, skipped, in_flight = (
        _counters(metrics, name)
        for name in ("ticks_total", "runs_total", "skipped_total", "in_flight")
    )
    return sum(
        ticks[probe] != runs.get(probe, 0) + skipped.get(probe, 0) + in_flight.get(probe, 0)
        for probe in ticks
    )


def _counters(metrics: str, name: str) -> dict[str, float]:
    """Return a metric by probe, summed over its other labels."""
    totals: dict[str, float] = {}
    pattern = rf'^inference_probe_{name}{{.*?probe="([^"]+)".*?}} (\S+)$'
    for probe, value in re.findall(pattern, metrics, re.MULTILINE):
        totals[probe] = totals.get(probe, 0) + float(value)
    return totals
