"""Whether the simulation of `bench.simulation` does with a series what Prometheus' engine does."""

import re
from dataclasses import dataclass

import numpy as np

from bench.outages import Labels, answer, exposed, question
from bench.simulation import KEPT, Array, Counters, runs
from probe.slo.alerts import (
    EVALUATION_INTERVAL_SECONDS,
    HIGH_LATENCY,
    HOUR_SECONDS,
    SCRAPE_INTERVAL_SECONDS,
)

START, END = 7 * HOUR_SECONDS, 16 * HOUR_SECONDS
"""Looked at: before, the longest window of a page is not full yet."""

CASES = ((0.99, 10, 0.02), (0.95, 30, 0.15), (0.999, 5, 0.004))
"""Target, interval in seconds and bad share: for both alerts to come and go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Evaluations at which an alert fires: in the simulation, and in the engine."""

    looks: int
    broken: tuple[int, int]
    missed: tuple[int, int]

    @property
    def met(self) -> bool:
        """Within a hundredth: the last bit of a float decides of a few."""
        return all(abs(a - b) <= 1 + 0.01 * b for a, b in (self.broken, self.missed))


def compare(promtool: str) -> Agreement:
    """Both on three steady models, of nine hours each."""
    random = np.random.default_rng(20260102)
    looks = np.arange(0, END + 1, EVALUATION_INTERVAL_SECONDS)
    shown = looks > START
    broken = missed = 0
    tests = []
    for target, interval, share in CASES:
        counters = Counters(random.random(END // interval + 1) < share, interval, END)
        budget = round(1 - target, 9)
        full = looks[looks >= 6 * HOUR_SECONDS]  # the simulation does not look before its beginning
        late = len(looks) - len(full)
        holds = np.concatenate([np.zeros(late, bool), counters.broken(full, budget)])
        broken += int(
            (_held(holds, HIGH_LATENCY.hold // EVALUATION_INTERVAL_SECONDS) & shown).sum()
        )
        holds = np.concatenate([np.zeros(late, bool), counters.missed(full, budget)])
        missed += int((_kept(holds, KEPT // EVALUATION_INTERVAL_SECONDS) & shown).sum())
        tests.append(_question(counters, target, interval))
    counts = re.findall(r'alertname="(\w+)"\} ([\d.E+]+)', answer(promtool, tests))
    return Agreement(
        looks=len(CASES) * int(shown.sum()),
        broken=(broken, _total(counts, "HighModelLatency")),
        missed=(missed, _total(counts, "ModelObjectiveMissed")),
    )


def _question(counters: Counters, target: float, interval: float) -> dict[str, object]:
    """The counters between two evaluations are as before: they are looked at then alone."""
    bad, every = np.repeat(counters.bad, 2), np.repeat(counters.every, 2)
    labels = Labels(name="steady", target=target, interval=interval)
    series = exposed(labels, every - bad, bad, np.arange(len(bad)) * SCRAPE_INTERVAL_SECONDS)
    alerts = 'ALERTS{alertname=~"HighModelLatency|ModelObjectiveMissed",alertstate="firing"}'
    inner = f"count by (alertname) ({alerts})"
    return question(
        series, {f"sum_over_time({inner}[{END - START}s:{EVALUATION_INTERVAL_SECONDS}s])": END}
    )


def _held(holds: Array, hold: int) -> Array:
    """Where it has held for `hold` looks."""
    fires = np.zeros(len(holds), bool)
    for start, end in zip(*runs(holds), strict=True):
        fires[start + hold : end] = True
    return fires


def _kept(holds: Array, kept: int) -> Array:
    """Where it holds, and for `kept` looks after."""
    fires = holds.copy()
    for _, end in zip(*runs(holds), strict=True):
        fires[end : end + kept] = True
    return fires


def _total(counts: list[tuple[str, str]], name: str) -> int:
    return round(sum(float(count) for alert, count in counts if alert == name))
