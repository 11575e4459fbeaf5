"""Compares `bench.simulation` with Prometheus on the same series."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.outages import Labels, exposed_series, rule_test, run_promtool
from bench.simulation import Counters, firing
from probe.clock import HOUR_SECONDS
from probe.slo.alerts import (
    EVALUATION_INTERVAL_SECONDS,
    HIGH_LATENCY,
    OBJECTIVE_MISSED,
    SCRAPE_INTERVAL_SECONDS,
)

# The longest window of a page is full from here on.
FULL_SECONDS = OBJECTIVE_MISSED.windows[-1].seconds

# Time that is compared.
START_SECONDS, END_SECONDS = 7 * HOUR_SECONDS, 16 * HOUR_SECONDS

# Target, interval (seconds) and bad ratio with which both alerts come and go.
CASES = ((0.99, 10, 0.02), (0.95, 30, 0.15), (0.999, 5, 0.004))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Evaluations at which an alert fires, in the simulation and in Prometheus."""

    evaluations: int
    high_latency: tuple[int, int]
    objective_missed: tuple[int, int]

    @property
    def met(self) -> bool:
        """Whether both differ by less than 1 %: the last bit of a float decides a few cases."""
        pairs = (self.high_latency, self.objective_missed)
        return all(abs(simulated - real) <= 1 + 0.01 * real for simulated, real in pairs)


def compare(promtool: Path) -> Agreement:
    """Simulate three models with a constant bad ratio, for nine hours each, in both ways."""
    random = np.random.default_rng(20260102)
    evaluations = np.arange(0, END_SECONDS + 1, EVALUATION_INTERVAL_SECONDS)
    compared = evaluations > START_SECONDS
    high_latency = objective_missed = 0
    tests = []
    for target, interval, bad_ratio in CASES:
        failed = random.random(END_SECONDS // interval + 1) < bad_ratio
        # The simulation needs full windows. Until then no alert fires in Prometheus either.
        failed[: FULL_SECONDS // interval] = False
        counters = Counters(failed, interval, END_SECONDS)
        budget = round(1 - target, 9)
        full = evaluations[evaluations >= FULL_SECONDS]
        missing = np.zeros(len(evaluations) - len(full), bool)
        holds = np.concatenate([missing, counters.high_latency(full, budget)])
        fires = firing(holds, HIGH_LATENCY.hold_seconds, HIGH_LATENCY.keep_firing_seconds)
        high_latency += int((fires & compared).sum())
        holds = np.concatenate([missing, counters.objective_missed(full, budget)])
        fires = firing(holds, 0, OBJECTIVE_MISSED.keep_firing_seconds)
        objective_missed += int((fires & compared).sum())
        tests.append(_rule_test(counters, target, interval))
    counts = re.findall(r'alertname="(\w+)"\} ([\d.E+]+)', run_promtool(promtool, tests))
    return Agreement(
        evaluations=len(CASES) * int(compared.sum()),
        high_latency=(high_latency, _total(counts, "HighModelLatency")),
        objective_missed=(objective_missed, _total(counts, "ModelObjectiveMissed")),
    )


def _rule_test(counters: Counters, target: float, interval: float) -> dict[str, object]:
    """Return a test with two scrapes per evaluation. Only the evaluations read them."""
    bad, probes = np.repeat(counters.bad, 2), np.repeat(counters.all, 2)
    labels = Labels(name="steady", target=target, interval=interval)
    last_success = np.arange(len(bad)) * SCRAPE_INTERVAL_SECONDS
    series = exposed_series(labels, probes - bad, bad, last_success)
    alerts = 'ALERTS{alertname=~"HighModelLatency|ModelObjectiveMissed",alertstate="firing"}'
    firing_alerts = f"count by (alertname) ({alerts})"
    subquery = f"[{END_SECONDS - START_SECONDS}s:{EVALUATION_INTERVAL_SECONDS}s]"
    return rule_test(series, {f"sum_over_time({firing_alerts}{subquery})": END_SECONDS})


def _total(counts: list[tuple[str, str]], name: str) -> int:
    return round(sum(float(count) for alert, count in counts if alert == name))
