"""Measure what the rules cost Prometheus with 1,000 probes: python -m bench.rules [--quick].

Writes 30 days of recorded half hours and hours of recorded counters into a Prometheus database,
starts Prometheus with the bundled rules, lets it scrape a daemon's metrics for some minutes, and
reports how long each group of rules takes. The exit code is 0 if every bound is met, 1 if one is
missed, 2 if Prometheus is not installed.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from bench.markdown import aligned_table, environment, publish
from bench.processes import run_process
from probe.clock import DAY_SECONDS, HOUR_SECONDS, MINUTE_SECONDS
from probe.config.loader import parse
from probe.config.settings import Settings
from probe.config.units import parse_duration
from probe.demo.stack import free_port
from probe.metrics.exposition import Exposition
from probe.metrics.histogram import LATENCY_BUCKETS
from probe.metrics.probe_series import SUSPENSION_REASONS
from probe.metrics.recorder import Recorder
from probe.result import Phase, Result
from probe.scheduler.accounting import TickAccounting
from probe.slo.alerts import EVALUATION_INTERVAL_SECONDS

RULES = Path(__file__).parents[1] / "rules" / "inference-probe.rules.yml"

PROBES = 1000
SLOS = {"fast": 0.5, "slow": 1.0}

# Together, the groups that are evaluated every 30 s, and those with windows of days.
MAX_FREQUENT_SECONDS, MAX_LONG_SECONDS = 5.0, 2.0
LONG_GROUPS = ("inference-probe-half-hours", "inference-probe-long")

# Groups with a longer interval are evaluated at this one, so that they run during the benchmark.
MAX_INTERVAL_SECONDS = 120

# The share of the probes that miss an objective. Each alert that fires costs queries for its text.
DEFAULT_SLOW_PERCENT = 5

# Time between two readings of the evaluation times. The first ones are while Prometheus starts.
READING_INTERVAL_SECONDS = 30

HALF_HOUR_SECONDS = HOUR_SECONDS // 2
LABELS = 'instance="127.0.0.1",job="bench"'


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCost:
    """Evaluation time of a group of rules (seconds)."""

    name: str
    interval: int
    rules: int
    seconds: float


def main() -> int:
    args = _parser().parse_args()
    programs = [shutil.which(name) for name in ("prometheus", "promtool")]
    if None in programs:
        print("bench.rules: prometheus and promtool are not on the PATH", file=sys.stderr)
        return 2
    probes = PROBES // 20 if args.quick else PROBES
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _log(f"writing 30 days of {probes} probes")
        _write_history(directory, str(programs[1]), probes)
        _log(f"running Prometheus for {args.minutes:g} minutes")
        with (
            _exporter(probes, args.slow_percent) as target,
            _prometheus(directory, str(programs[0]), target) as url,
        ):
            time.sleep(args.minutes * MINUTE_SECONDS / 2)
            costs = _median_costs(url, args.minutes * MINUTE_SECONDS / 2)
            _check_results(url, objectives=probes * len(SLOS))
    text, met = _report(costs, probes, args.slow_percent)
    print(text)
    if not args.quick and args.slow_percent == DEFAULT_SLOW_PERCENT:
        publish("rule cost", text)
    return 0 if met else 1


def _write_history(directory: Path, promtool: str, probes: int) -> None:
    """Write the series that the rules need from before the benchmark, as one block."""
    source = directory / "history.txt"
    now = int(time.time()) // HALF_HOUR_SECONDS * HALF_HOUR_SECONDS
    with source.open("w") as file:
        file.writelines(_history(now, probes))
        file.write("# EOF\n")
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
    command += ["--max-block-duration=1000h", str(source), str(directory / "data")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    source.unlink()


def _history(now: int, probes: int) -> Iterator[str]:
    """Yield lines in OpenMetrics format. One request in 200 is bad, half of what is allowed.

    With more, the alerts about windows of days would be pending for all objectives, and Prometheus
    renders the texts of pending alerts, too.
    """
    names = [f"probe-{number}" for number in range(probes)]
    objectives = [(name, slo, le) for name in names for slo, le in SLOS.items()]
    month_times = range(now - 30 * DAY_SECONDS, now, HALF_HOUR_SECONDS)
    for kind, increase in (("good", 179), ("bad", 1)):
        for name, slo, _ in objectives:
            labels = f'job="bench",probe="{name}",slo="{slo}"'
            series = f"inference_probe:slo_{kind}_half_hours:increase30m{{{labels}}} {increase}"
            yield from (f"{series} {instant}\n" for instant in month_times)
    six_hour_times = range(now - 6 * HOUR_SECONDS, now, EVALUATION_INTERVAL_SECONDS)
    for kind, rate in (("good", 0.0995), ("bad", 0.0005)):
        for name, slo, le in objectives:
            signal = f'signal="latency",slo="{slo}",threshold="{le}"'
            labels = f'alert="page",{LABELS},le="{le}",probe="{name}",{signal}'
            series = f"inference_probe:slo_{kind}:count{{{labels}}}"
            yield from (
                f"{series} {rate * (instant - six_hour_times[0]):.0f} {instant}\n"
                for instant in six_hour_times
            )
    hour_times = range(now - HOUR_SECONDS, now, EVALUATION_INTERVAL_SECONDS)
    for name in names:
        for bound in (*map(str, LATENCY_BUCKETS), "+Inf"):
            labels = f'{LABELS},le="{bound}",outcome="success",probe="{name}"'
            series = f"inference_probe_latency_seconds_bucket{{{labels}}}"
            yield from (
                f"{series} {(instant - hour_times[0]) // 10} {instant}\n" for instant in hour_times
            )


@contextmanager
def _exporter(probes: int, slow_percent: int) -> Iterator[str]:
    """Serve the metrics of a daemon with one new result per probe and scrape; yield its address.

    `slow_percent` of the probes are slower than the threshold of the objective `fast`.
    """
    settings = _settings(probes)
    accounting = TickAccounting()
    recorder = Recorder(accounting)
    for probe in settings.probes:
        accounting.add_probe(probe.name)
        recorder.add_probe(probe, dict.fromkeys(SUSPENSION_REASONS, lambda: False))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            for number, probe in enumerate(settings.probes):
                recorder.record(_result(probe.name, number, slow=number % 100 < slow_percent))
            exposition = Exposition(openmetrics=False)
            recorder.write_to(exposition)
            body = exposition.text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _settings(probes: int) -> Settings:
    objectives = [{"name": slo, "target": "99%", "latency": f"{le:g}s"} for slo, le in SLOS.items()]
    documents = [
        {"name": f"probe-{number}", "url": "http://127.0.0.1:1/", "objectives": objectives}
        for number in range(probes)
    ]
    text = json.dumps({"probes": documents}).encode()
    return parse(text, name="bench", base=Path(), environ={})


def _result(probe: str, number: int, *, slow: bool) -> Result:
    latency = 0.7 if slow else 0.02 * (1 + number % 20)
    return Result(
        probe=probe,
        started=datetime.now(UTC),
        phases={
            Phase.DNS: 0.001,
            Phase.CONNECT: 0.002,
            Phase.SEND: 0.001,
            Phase.WAIT: latency,
            Phase.RECEIVE: 0.001,
        },
        status=200,
    )


@contextmanager
def _prometheus(directory: Path, program: str, target: str) -> Iterator[str]:
    """Run Prometheus with the bundled rules, scraping `target`; yield its URL."""
    groups = yaml.safe_load(RULES.read_text())
    for group in groups["groups"]:
        group["interval"] = f"{min(_interval(group), MAX_INTERVAL_SECONDS)}s"
    (directory / "rules.yml").write_text(yaml.safe_dump(groups, sort_keys=False))
    scrape = {
        "job_name": "bench",
        "static_configs": [{"targets": [target], "labels": {"instance": "127.0.0.1"}}],
    }
    config = {
        "global": {"scrape_interval": "15s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [scrape],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        program,
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--storage.tsdb.retention.time=40d",
        f"--web.listen-address={address}",
        "--log.level=error",
    ]
    with run_process(*command):
        yield f"http://{address}"


def _interval(group: dict[str, Any]) -> int:
    return int(parse_duration(group["interval"]))


def _check_results(url: str, *, objectives: int) -> None:
    """Raise RuntimeError if recordings have no value for some of the objectives.

    The rules would then be fast because they have nothing to do.
    """
    for recording in ("slo_bad:ratio5m", "slo_bad:ratio6h", "slo_bad:ratio30d"):
        query = urlencode({"query": f"count(inference_probe:{recording})"})
        with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=60) as response:
            results = json.load(response)["data"]["result"]
        count = int(results[0]["value"][1]) if results else 0
        if count != objectives:
            raise RuntimeError(f"inference_probe:{recording} has {count} of {objectives} series")


def _median_costs(url: str, seconds: float) -> list[GroupCost]:
    """Read the evaluation times for `seconds`; return the median of each group."""
    readings = []
    for _ in range(max(1, round(seconds / READING_INTERVAL_SECONDS))):
        time.sleep(READING_INTERVAL_SECONDS)
        readings.append(_read_costs(url))
    return [
        replace(costs[0], seconds=statistics.median(cost.seconds for cost in costs))
        for costs in zip(*readings, strict=True)
    ]


def _read_costs(url: str) -> list[GroupCost]:
    with urllib.request.urlopen(f"{url}/api/v1/rules", timeout=60) as response:
        groups = json.load(response)["data"]["groups"]
    intervals = {
        group["name"]: _interval(group) for group in yaml.safe_load(RULES.read_text())["groups"]
    }
    errors = [
        rule["lastError"] for group in groups for rule in group["rules"] if "lastError" in rule
    ]
    if errors:
        raise RuntimeError(f"a rule failed: {errors[0]}")
    return [
        GroupCost(
            name=group["name"],
            interval=intervals[group["name"]],
            rules=len(group["rules"]),
            seconds=group["evaluationTime"],
        )
        for group in groups
    ]


def _report(costs: list[GroupCost], probes: int, slow_percent: int) -> tuple[str, bool]:
    """Return the results as Markdown, and whether the bounds are met."""
    frequent = sum(cost.seconds for cost in costs if cost.interval == EVALUATION_INTERVAL_SECONDS)
    long = sum(cost.seconds for cost in costs if cost.name in LONG_GROUPS)
    bounds = (
        ("groups every 30 s, together", frequent, MAX_FREQUENT_SECONDS),
        ("groups with windows of days, together", long, MAX_LONG_SECONDS),
    )
    groups = aligned_table(
        ("group", "every", "rules", "evaluation"),
        ([c.name, f"{c.interval} s", str(c.rules), f"{c.seconds:.2f} s"] for c in costs),
    )
    verdicts = aligned_table(
        ("bound", "measured", "at most", "met"),
        (
            [name, f"{seconds:.2f} s", f"{bound:g} s", "yes" if seconds <= bound else "**no**"]
            for name, seconds, bound in bounds
        ),
    )
    fleet = f"{probes:,} probes with {len(SLOS)} objectives each, {slow_percent} % slow"
    head = f"{environment()}; {fleet}."
    text = "\n\n".join((head, verdicts, groups))
    return text, all(seconds <= bound for _, seconds, bound in bounds)


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.rules", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=6, help="time for which Prometheus runs (6)"
    )
    parser.add_argument(
        "--slow-percent",
        type=int,
        default=DEFAULT_SLOW_PERCENT,
        help="share of the probes that miss an objective; other values than the default "
        "publish nothing (5)",
    )
    parser.add_argument("--quick", action="store_true", help="50 probes; publish nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
