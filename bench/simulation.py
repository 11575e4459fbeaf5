"""Simulates the alert rules for a model with a constant bad ratio.

Prometheus needs hours for a month. The simulation computes `increase` as Prometheus does: from the
first and last sample in the window, extrapolated to the window. `bench.alerts` compares it with
Prometheus on the same series.

Conditions are boolean arrays with one value per evaluation, whose times (seconds) are
`evaluations`.
"""

from dataclasses import dataclass
from itertools import groupby
from math import inf
from statistics import median
from typing import Any

import numpy as np

from probe.clock import DAY_SECONDS, HOUR_SECONDS
from probe.slo.alerts import (
    EVALUATION_INTERVAL_SECONDS,
    HIGH_LATENCY,
    LONG_EVALUATION_INTERVAL_SECONDS,
    MODEL_DOWN,
    OBJECTIVE_MISSED,
    PAGE_BURNS,
    TICKET_BURNS,
    BurnRule,
)

WARM_UP_SECONDS = 3 * DAY_SECONDS

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCounts:
    """Numbers of alerts."""

    pages: int
    tickets: int


def simulate(
    *,
    interval: float,
    budget: float,
    bad_ratio: float,
    random: np.random.Generator,
    days: int = 30,
) -> AlertCounts:
    """Return the alerts in `days` about a model of which `bad_ratio` of the probes fail."""
    end = WARM_UP_SECONDS + days * DAY_SECONDS
    failed = random.random(int(end / interval)) < bad_ratio
    counters = Counters(failed, interval, end)
    evaluations = np.arange(WARM_UP_SECONDS, end, EVALUATION_INTERVAL_SECONDS)
    seldom = evaluations[:: LONG_EVALUATION_INTERVAL_SECONDS // EVALUATION_INTERVAL_SECONDS]
    missed = counters.objective_missed(evaluations, budget)
    pages = count_alerts(firing(missed, 0, OBJECTIVE_MISSED.keep_firing_seconds))
    for rule in PAGE_BURNS:
        holds = counters.burns(evaluations, rule, budget, needs_evidence=True)
        pages += count_alerts(firing(holds, rule.hold_seconds, rule.keep_firing_seconds))
    high_latency = counters.high_latency(evaluations, budget)
    tickets = count_alerts(
        firing(high_latency, HIGH_LATENCY.hold_seconds, HIGH_LATENCY.keep_firing_seconds)
    )
    for rule in TICKET_BURNS:
        holds = counters.burns(seldom, rule, budget, needs_evidence=False)
        interval_seconds = LONG_EVALUATION_INTERVAL_SECONDS
        tickets += count_alerts(firing(holds, rule.hold_seconds, 0, interval_seconds))
    return AlertCounts(pages=pages + _model_down_pages(failed, interval), tickets=tickets)


def simulate_outages(
    *,
    interval: float,
    budget: float,
    bad_ratio: float,
    random: np.random.Generator,
    outages: int,
    seconds: int,
) -> tuple[float, float]:
    """Return the median times to ModelObjectiveMissed and to HighModelLatency (seconds).

    They count from the evaluation that sees the first bad probe. All probes before are good. An
    alert that does not fire within `seconds` counts as infinite.
    """
    start = (
        OBJECTIVE_MISSED.windows[-1].seconds + OBJECTIVE_MISSED.confirmation_seconds + HOUR_SECONDS
    )
    first = int(start / interval)
    begin = (int(first * interval) // EVALUATION_INTERVAL_SECONDS + 1) * EVALUATION_INTERVAL_SECONDS
    end = begin + seconds
    evaluations = np.arange(OBJECTIVE_MISSED.windows[-1].seconds, end, EVALUATION_INTERVAL_SECONDS)
    pages, tickets = [], []
    for _ in range(outages):
        failed = random.random(int(end / interval) + 1) < bad_ratio
        failed[:first], failed[first] = False, True
        counters = Counters(failed, interval, end)
        missed = firing(counters.objective_missed(evaluations, budget), 0, 0)
        pages.append(_first_alert(missed) - _index(evaluations, begin))
        high = firing(counters.high_latency(evaluations, budget), HIGH_LATENCY.hold_seconds, 0)
        tickets.append(_first_alert(high) - _index(evaluations, begin))
    return (
        EVALUATION_INTERVAL_SECONDS * median(pages),
        EVALUATION_INTERVAL_SECONDS * median(tickets),
    )


def _index(evaluations: Array, time: float) -> int:
    return int(np.searchsorted(evaluations, time))


class Counters:
    """Counters of bad and of all probes, as recorded at each evaluation from 0 on."""

    def __init__(self, failed: Array, interval: float, end: int) -> None:
        """`failed` says of each probe whether it failed; probe 0 is due at 0."""
        recorded = np.minimum(
            (np.arange(0, end + 1, EVALUATION_INTERVAL_SECONDS) / interval).astype(int), len(failed)
        )
        self.bad = np.concatenate([[0], np.cumsum(failed)])[recorded].astype(float)
        self.all = recorded.astype(float)

    def increases(self, evaluations: Array, window: int) -> tuple[Array, Array]:
        """Return the increases of bad and of all probes in the window before each evaluation."""
        last = evaluations // EVALUATION_INTERVAL_SECONDS
        first = last - window // EVALUATION_INTERVAL_SECONDS + 1
        extrapolation = window / (window - EVALUATION_INTERVAL_SECONDS)
        return (
            (self.bad[last] - self.bad[first]) * extrapolation,
            (self.all[last] - self.all[first]) * extrapolation,
        )

    def bad_ratio(self, evaluations: Array, window: int) -> Array:
        """Return the ratio of bad probes; 0 without probes."""
        if window > 6 * HOUR_SECONDS:
            # The rules add up windows of days from complete half hours.
            half_hour = HOUR_SECONDS // 2
            last = evaluations // half_hour * half_hour // EVALUATION_INTERVAL_SECONDS
            first = last - window // EVALUATION_INTERVAL_SECONDS
            bad, probes = self.bad[last] - self.bad[first], self.all[last] - self.all[first]
        else:
            bad, probes = self.increases(evaluations, window)
        ratio: Array = np.divide(bad, probes, out=np.zeros_like(bad), where=probes > 0)
        return ratio

    def evidence(self, evaluations: Array, window: int, budget: float) -> Array:
        """Return the evidence of `window` against the objective, in powers of ten."""
        bad, probes = self.increases(evaluations, window)
        ratio = self.bad_ratio(evaluations, window)
        with np.errstate(divide="ignore", invalid="ignore"):
            of_bad = bad * np.log10(ratio / budget)
            of_good = (probes - bad) * np.log10(np.maximum(1 - ratio, 1e-12) / (1 - budget))
        evidence: Array = np.where(ratio > budget, of_bad + of_good, 0)
        return evidence

    def high_latency(self, evaluations: Array, budget: float) -> Array:
        """Return where HighModelLatency is pending."""
        limit = budget + 1e-9
        short = self.bad_ratio(evaluations, HIGH_LATENCY.short_seconds) > limit
        medium = self.bad_ratio(evaluations, HIGH_LATENCY.medium_seconds) > limit
        ago = HIGH_LATENCY.medium_seconds // EVALUATION_INTERVAL_SECONDS
        before = np.concatenate([np.zeros(ago, bool), medium[:-ago]])
        evidence = self.evidence(evaluations, HIGH_LATENCY.long_seconds, budget)
        holds: Array = short | (medium & before & (evidence > HIGH_LATENCY.evidence))
        return holds

    def objective_missed(self, evaluations: Array, budget: float) -> Array:
        """Return where the condition of ModelObjectiveMissed holds."""
        strongest = np.zeros(len(evaluations))
        overruled = np.zeros(len(evaluations), bool)
        holds = np.zeros(len(evaluations), bool)
        for _, group in groupby(OBJECTIVE_MISSED.windows, lambda window: window.current_seconds):
            windows = list(group)
            limit = windows[0].current_factor * (budget + 1e-9)
            current = self.bad_ratio(evaluations, windows[0].current_seconds) > limit
            evident = np.zeros(len(evaluations), bool)
            overrules = np.zeros(len(evaluations), bool)
            for window in windows:
                evidence = self.evidence(evaluations, window.seconds, budget)
                strongest = np.maximum(strongest, evidence)
                evident |= evidence > OBJECTIVE_MISSED.evidence
                overrules |= (evidence > OBJECTIVE_MISSED.evidence) & (
                    self.bad_ratio(evaluations, window.seconds) > limit
                )
            holds |= evident & current & ~overruled
            overruled |= overrules
        ago = OBJECTIVE_MISSED.confirmation_seconds // EVALUATION_INTERVAL_SECONDS
        before = np.concatenate([np.zeros(ago), strongest[:-ago]])
        return holds & (before > OBJECTIVE_MISSED.evidence_before)

    def burns(
        self, evaluations: Array, rule: BurnRule, budget: float, *, needs_evidence: bool
    ) -> Array:
        """Return where ModelErrorBudgetBurn is pending."""
        limit = rule.factor * budget + 1e-9
        holds: Array = (self.bad_ratio(evaluations, rule.short_seconds) > limit) & (
            self.bad_ratio(evaluations, rule.long_seconds) > limit
        )
        if needs_evidence:
            holds &= (
                self.evidence(evaluations, rule.long_seconds, budget) > OBJECTIVE_MISSED.evidence
            )
        return holds


def simulate_brown_out(
    *, interval: float, budget: float, bad_ratio: float, random: np.random.Generator, days: int
) -> int:
    """Return the pages in `days`, if `bad_ratio` of the probes are bad all the time.

    The alerts about one objective are one page as long as one of them fires.
    """
    end = WARM_UP_SECONDS + days * DAY_SECONDS
    failed = random.random(int(end / interval)) < bad_ratio
    counters = Counters(failed, interval, end)
    evaluations = np.arange(WARM_UP_SECONDS, end, EVALUATION_INTERVAL_SECONDS)
    missed = counters.objective_missed(evaluations, budget)
    fires = firing(missed, 0, OBJECTIVE_MISSED.keep_firing_seconds)
    for rule in PAGE_BURNS:
        holds = counters.burns(evaluations, rule, budget, needs_evidence=True)
        fires |= firing(holds, rule.hold_seconds, rule.keep_firing_seconds)
    # A page that fires at the start began before.
    return count_alerts(fires) - int(fires[0])


def _model_down_pages(failed: Array, interval: float) -> int:
    """Return the runs of failures that fire ModelDown."""
    enough = max(MODEL_DOWN.failures, int(np.ceil(MODEL_DOWN.min_silence_seconds / interval)))
    starts, ends = runs(failed)
    return int((ends - starts >= enough).sum())


def runs(holds: Array) -> tuple[Array, Array]:
    """Return the first index of each run, and the index after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], holds, [0]])))
    return edges[::2], edges[1::2]


def count_alerts(fires: Array) -> int:
    """Return how often an alert begins to fire."""
    return len(runs(fires)[0])


def firing(
    holds: Array,
    hold_seconds: int,
    keep_firing_seconds: int,
    evaluation_seconds: int = EVALUATION_INTERVAL_SECONDS,
) -> Array:
    """Return where the alert with this condition, `for` and `keep_firing_for` fires.

    As in Prometheus, an alert that is kept firing fires on if the condition holds again, however
    shortly: `for` concerns only alerts that do not fire.
    """
    hold = hold_seconds // evaluation_seconds
    keep = keep_firing_seconds // evaluation_seconds
    fires = np.zeros(len(holds), bool)
    kept_until = -1
    for start, end in zip(*runs(holds), strict=True):
        fires_from = start if start <= kept_until else start + hold
        if fires_from < end:
            fires[fires_from : end + keep] = True
            kept_until = end + keep
    return fires


def _first_alert(fires: Array) -> float:
    """Return the first index at which the alert fires."""
    return float(np.argmax(fires)) if fires.any() else inf
