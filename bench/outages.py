"""Outages before the shipped rules, in Prometheus' own engine, and when they page."""

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

from probe.slo.alerts import EVALUATION_INTERVAL_SECONDS, HOUR_SECONDS, SCRAPE_INTERVAL_SECONDS
from tools.render_rule_tests import notation

RULES = Path(__file__).parents[1] / "rules" / "inference-probe.rules.yml"
BEFORE = 6 * HOUR_SECONDS + 900
"""Seconds for which all was well: no window of a page looks back further."""

MOST_SAMPLES = 2000
"""In one query: well below the 10,000 of promtool's engine, which counts them more than once."""

TIMEOUT = 5.0
"""Of every probe; bad ones end so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """From some moment on, `bad` of the probes fail; they run each `interval` seconds."""

    target: float
    interval: float
    bad: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Median seconds from the first bad probe's due time to the first page and ticket."""

    page: float
    ticket: float


def play(
    promtool: str, outages: Sequence[Outage], *, runs: int, seconds: int, seed: int
) -> dict[Outage, Seen]:
    """Each outage `runs` times over, with phases of its own, for so many seconds."""
    random = np.random.default_rng(seed)
    end = BEFORE + seconds
    series: dict[str, list[dict[str, str]]] = {}
    began: dict[str, tuple[Outage, float]] = {}
    for number, outage in enumerate(outages):
        for run in range(runs):
            name = f"{number}-{run}"
            start, series[name] = _series(outage, name, end, random)
            began[name] = (outage, start)
    together = max(1, MOST_SAMPLES * EVALUATION_INTERVAL_SECONDS // (2 * seconds))
    tests = [
        _test(chain.from_iterable(some), seconds) for some in batched(series.values(), together)
    ]
    return _seen(_fired(promtool, tests), began)


def batched(items: Iterable[Any], size: int) -> Iterator[tuple[Any, ...]]:
    """`itertools.batched` of Python 3.12."""
    rest = iter(items)
    while batch := tuple(islice(rest, size)):
        yield batch


def _series(
    outage: Outage, name: str, end: float, random: np.random.Generator
) -> tuple[float, list[dict[str, str]]]:
    """When the first bad probe was due, and what a daemon would have exported of it all.

    A sample that Prometheus takes at t is of the daemon at t less a phase of its own, so that
    scrapes and evaluations do not coincide as they would in no installation.
    """
    phase = random.uniform(0, SCRAPE_INTERVAL_SECONDS)
    due = BEFORE + random.uniform(0, EVALUATION_INTERVAL_SECONDS)
    dues = np.arange(due - floor_to(due, outage.interval), end, outage.interval)
    bad = (dues > due - 1e-6) & (random.random(len(dues)) < outage.bad)
    bad[np.searchsorted(dues, due - 1e-6)] = True
    done = dues + np.where(bad, TIMEOUT, 0.05)
    times = np.arange(0, end, SCRAPE_INTERVAL_SECONDS) - phase
    failures = np.searchsorted(done[bad], times, side="right")
    successes = np.searchsorted(done[~bad], times, side="right")
    last = np.concatenate([[0.0], done[~bad]])[successes]
    labels = Labels(name=name, target=outage.target, interval=outage.interval)
    return due, list(exposed(labels, successes, failures, last))


def floor_to(value: float, step: float) -> float:
    """The greatest multiple of `step` below `value`."""
    return value // step * step


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What a daemon exports of a probe besides its counts."""

    name: str
    target: float
    interval: float


def exposed(probe: Labels, successes: Any, failures: Any, last: Any) -> Iterator[dict[str, str]]:
    """The series as promtool reads them; `last` is the Unix time of the last success."""
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
        f"inference_probe_timeout_seconds{{{labels}}}": TIMEOUT,
        f'inference_probe_suspended{{reason="startup",{labels}}}': 0,
    }
    for series, value in constants.items():
        yield {"series": series, "values": f"{value}x{len(successes) - 1}"}


def _test(series: Iterable[dict[str, str]], seconds: int) -> dict[str, Any]:
    """Without the tickets of windows of days: here all was well for hours only."""
    alerts = 'ALERTS{alertstate="firing",probe!="",long!~"1d|3d"}'
    first = f"min by (probe, slo_severity) (timestamp({alerts}))"
    expr = f"min_over_time({first}[{seconds}s:{EVALUATION_INTERVAL_SECONDS}s])"
    return question(series, {expr: BEFORE + seconds})


def question(series: Iterable[dict[str, str]], expressions: dict[str, int]) -> dict[str, Any]:
    """A test that expects nothing of each expression, at its time: promtool tells what there is."""
    return {
        "interval": f"{SCRAPE_INTERVAL_SECONDS}s",
        "input_series": list(series),
        "promql_expr_test": [
            {"expr": expr, "eval_time": f"{at}s", "exp_samples": []}
            for expr, at in expressions.items()
        ],
    }


def answer(promtool: str, tests: list[dict[str, Any]]) -> str:
    """What promtool says of the questions."""
    document = {"rule_files": [str(RULES)], "evaluation_interval": "30s", "tests": tests}
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "outages.yml")
        file.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, width=1_000_000))
        command = [promtool, "test", "rules", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if "err:" in said or "error" in said:
        raise RuntimeError(f"promtool could not answer: {said[-2000:]}")
    return said


def _fired(promtool: str, tests: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By level and probe, when the first alert fired."""
    fired: dict[str, dict[str, float]] = defaultdict(dict)
    pattern = r'\{probe="([^"]+)", slo_severity="(\w+)"\} ([\d.E+]+)'
    for probe, level, at in re.findall(pattern, answer(promtool, tests)):
        fired[level][probe] = float(at)
    return fired


def _seen(
    fired: dict[str, dict[str, float]], began: dict[str, tuple[Outage, float]]
) -> dict[Outage, Seen]:
    names = defaultdict(list)
    for name, (outage, _) in began.items():
        names[outage].append(name)

    def after(level: str, probes: Iterable[str]) -> float:
        return median(fired[level].get(probe, inf) - began[probe][1] for probe in probes)

    return {
        outage: Seen(page=after("page", probes), ticket=after("ticket", probes))
        for outage, probes in names.items()
    }
