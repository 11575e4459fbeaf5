"""Simulates outages and reports when the bundled rules page, in Prometheus itself."""

import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import yaml

from probe.clock import HOUR_SECONDS
from probe.slo.alerts import EVALUATION_INTERVAL_SECONDS, SCRAPE_INTERVAL_SECONDS
from tools.render_rule_tests import notation

RULES = Path(__file__).parents[1] / "rules" / "inference-probe.rules.yml"

# Time without bad probes before the outage: no window of a page is longer.
BEFORE_SECONDS = 6 * HOUR_SECONDS + 900

# Samples in one query. promtool allows 10,000 and counts some of them more than once.
MAX_SAMPLES = 2000

# Timeout of every probe. A bad probe ends with it.
TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """From some moment on, `bad_ratio` of the probes fail. One runs each `interval` seconds."""

    target: float
    interval: float
    bad_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """Median times from the first bad probe's due time to the first page and ticket (seconds)."""

    page: float
    ticket: float


def detect(
    promtool: Path, outages: Sequence[Outage], *, runs: int, seconds: int, seed: int
) -> dict[Outage, Detection]:
    """Run each outage `runs` times for `seconds`, each run with its own phases."""
    random = np.random.default_rng(seed)
    end = BEFORE_SECONDS + seconds
    series: dict[str, list[dict[str, str]]] = {}
    started: dict[str, tuple[Outage, float]] = {}
    for number, outage in enumerate(outages):
        for run in range(runs):
            name = f"{number}-{run}"
            start, series[name] = _outage_series(outage, name, end, random)
            started[name] = (outage, start)
    batch_size = max(1, MAX_SAMPLES * EVALUATION_INTERVAL_SECONDS // (2 * seconds))
    tests = [
        _detection_test(chain.from_iterable(batch), seconds)
        for batch in _batched(series.values(), batch_size)
    ]
    return _detections(_first_alerts(promtool, tests), started)


def _batched(items: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    """Yield batches of up to `size` items, like `itertools.batched` of Python 3.12."""
    remaining = iter(items)
    while batch := tuple(islice(remaining, size)):
        yield batch


def _outage_series(
    outage: Outage, name: str, end: float, random: np.random.Generator
) -> tuple[float, list[dict[str, str]]]:
    """Return when the first bad probe is due, and the series that a daemon would export.

    A sample that Prometheus takes at time t has the daemon's state at t minus a random phase.
    Otherwise scrapes and evaluations would coincide, which they do in no installation.
    """
    phase = random.uniform(0, SCRAPE_INTERVAL_SECONDS)
    due = BEFORE_SECONDS + random.uniform(0, EVALUATION_INTERVAL_SECONDS)
    dues = np.arange(due % outage.interval, end, outage.interval)
    bad = (dues > due - 1e-6) & (random.random(len(dues)) < outage.bad_ratio)
    bad[np.searchsorted(dues, due - 1e-6)] = True
    done = dues + np.where(bad, TIMEOUT_SECONDS, 0.05)
    times = np.arange(0, end, SCRAPE_INTERVAL_SECONDS) - phase
    failures = np.searchsorted(done[bad], times, side="right")
    successes = np.searchsorted(done[~bad], times, side="right")
    last = np.concatenate([[0.0], done[~bad]])[successes]
    labels = Labels(name=name, target=outage.target, interval=outage.interval)
    return due, list(exposed_series(labels, successes, failures, last))


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Exported properties of a probe."""

    name: str
    target: float
    interval: float


def exposed_series(
    probe: Labels, successes: Any, failures: Any, last: Any
) -> Iterator[dict[str, str]]:
    """Yield the series in promtool's notation; `last` is the Unix time of the last success."""
    labels = f'job="bench",instance="bench",probe="{probe.name}"'
    count = "inference_probe_latency_seconds_count"
    objective = f'slo="slo",signal="latency",threshold="0.5",alert="page",{labels}'
    columns: dict[str, Any] = {
        f'inference_probe_latency_seconds_bucket{{outcome="success",le="0.5",{labels}}}': successes,
        f'{count}{{outcome="success",{labels}}}': successes,
        f'{count}{{outcome="failure",{labels}}}': failures,
        f"inference_probe_last_success_timestamp_seconds{{{labels}}}": last,
    }
    for series, values in columns.items():
        yield {"series": series, "values": notation([float(value) for value in values])}
    constants = {
        f"inference_probe_slo_objective_ratio{{{objective}}}": probe.target,
        f"inference_probe_interval_seconds{{{labels}}}": probe.interval,
        f"inference_probe_timeout_seconds{{{labels}}}": TIMEOUT_SECONDS,
        f'inference_probe_suspended{{reason="startup",{labels}}}': 0,
    }
    for series, value in constants.items():
        yield {"series": series, "values": f"{value}x{len(successes) - 1}"}


def _detection_test(series: Iterable[dict[str, str]], seconds: int) -> dict[str, Any]:
    """Return a test that reports the first alerts, without those with windows of days."""
    alerts = 'ALERTS{alertstate="firing",probe!="",long!~"1d|3d"}'
    first = f"min by (probe, slo_severity) (timestamp({alerts}))"
    expr = f"min_over_time({first}[{seconds}s:{EVALUATION_INTERVAL_SECONDS}s])"
    return rule_test(series, {expr: BEFORE_SECONDS + seconds})


def rule_test(series: Iterable[dict[str, str]], expressions: dict[str, int]) -> dict[str, Any]:
    """Return a test of expressions at their times (seconds).

    It expects no samples. promtool reports those that there are as a failure of the test.
    """
    return {
        "interval": f"{SCRAPE_INTERVAL_SECONDS}s",
        "input_series": list(series),
        "promql_expr_test": [
            {"expr": expr, "eval_time": f"{at}s", "exp_samples": []}
            for expr, at in expressions.items()
        ],
    }


def run_promtool(promtool: Path, tests: list[dict[str, Any]]) -> str:
    """Return the output of promtool; raise RuntimeError if it cannot evaluate the tests."""
    document = {"rule_files": [str(RULES)], "evaluation_interval": "30s", "tests": tests}
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "outages.yml")
        file.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, width=1_000_000))
        command = [str(promtool), "test", "rules", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    # 0: no expression has samples. 1: some have. A signal leaves partial output.
    if done.returncode not in (0, 1) or "err:" in output or "error" in output:
        raise RuntimeError(
            f"promtool ended with {done.returncode} and cannot evaluate the tests: {output[-2000:]}"
        )
    return output


def _first_alerts(promtool: Path, tests: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the time of the first alert by severity and probe."""
    fired: dict[str, dict[str, float]] = defaultdict(dict)
    pattern = r'\{probe="([^"]+)", slo_severity="(\w+)"\} ([\d.E+]+)'
    for probe, severity, time in re.findall(pattern, run_promtool(promtool, tests)):
        fired[severity][probe] = float(time)
    return fired


def _detections(
    fired: dict[str, dict[str, float]], started: dict[str, tuple[Outage, float]]
) -> dict[Outage, Detection]:
    names = defaultdict(list)
    for name, (outage, _) in started.items():
        names[outage].append(name)

    def median_time(severity: str, probes: Iterable[str]) -> float:
        return median(fired[severity].get(probe, inf) - started[probe][1] for probe in probes)

    return {
        outage: Detection(page=median_time("page", probes), ticket=median_time("ticket", probes))
        for outage, probes in names.items()
    }
