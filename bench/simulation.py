"""The rules over months of a model that is steadily so good: the pages and tickets it causes.

A simulation, because Prometheus takes hours for a month. It does to counters what `increase` does:
first and last sample in the window, stretched to its length. `bench.alerts` holds it against the
engine on the same series.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from probe.slo.alerts import (
    DAY_SECONDS,
    EVALUATION_INTERVAL_SECONDS,
    HIGH_LATENCY,
    HOUR_SECONDS,
    LONG_EVALUATION_INTERVAL_SECONDS,
    MINUTE_SECONDS,
    MODEL_DOWN,
    OBJECTIVE_MISSED,
    PAGE_BURNS,
    TICKET_BURNS,
    Burn,
)

WARM_UP = 3 * DAY_SECONDS
KEPT = 10 * MINUTE_SECONDS
"""keep_firing_for of ModelObjectiveMissed: what comes back sooner is the same page."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """Numbers of alerts."""

    pages: int
    tickets: int


def play(
    *, interval: float, budget: float, share: float, random: np.random.Generator, days: int = 30
) -> Alarms:
    """So many days of a model of which `share` of the probes fail."""
    end = WARM_UP + days * DAY_SECONDS
    failed = random.random(int(end / interval)) < share
    counters = Counters(failed, interval, end)
    looks = np.arange(WARM_UP, end, EVALUATION_INTERVAL_SECONDS)
    missed = counters.missed(looks, budget)
    burnt = [_burns(counters, looks, burn, budget, sure=True) for burn in PAGE_BURNS]
    promise = counters.broken(looks, budget)
    long_looks = looks[:: LONG_EVALUATION_INTERVAL_SECONDS // EVALUATION_INTERVAL_SECONDS]
    tickets = [_burns(counters, long_looks, burn, budget, sure=False) for burn in TICKET_BURNS]
    return Alarms(
        pages=_alerts(missed, 0, KEPT // EVALUATION_INTERVAL_SECONDS)
        + sum(
            _alerts(
                holds, burn.hold // EVALUATION_INTERVAL_SECONDS, KEPT // EVALUATION_INTERVAL_SECONDS
            )
            for holds, burn in zip(burnt, PAGE_BURNS, strict=True)
        )
        + _outages(failed, interval),
        tickets=_alerts(promise, HIGH_LATENCY.hold // EVALUATION_INTERVAL_SECONDS, 0)
        + sum(
            _alerts(holds, burn.hold // LONG_EVALUATION_INTERVAL_SECONDS, 0)
            for holds, burn in zip(tickets, TICKET_BURNS, strict=True)
        ),
    )


class Counters:
    """Bad and all probes, as recorded at each evaluation from 0 on."""

    def __init__(self, failed: Array, interval: float, end: int) -> None:
        recorded = np.minimum(
            (np.arange(0, end + 1, EVALUATION_INTERVAL_SECONDS) / interval).astype(int), len(failed)
        )
        self.bad = np.concatenate([[0], np.cumsum(failed)])[recorded].astype(float)
        self.every = recorded.astype(float)

    def increases(self, looks: Array, window: int) -> tuple[Array, Array]:
        """Of bad and of all probes, in the window (open to the left) that ends at each look."""
        last = looks // EVALUATION_INTERVAL_SECONDS
        first = last - window // EVALUATION_INTERVAL_SECONDS + 1
        stretch = window / (window - EVALUATION_INTERVAL_SECONDS)
        bad, every = self.bad, self.every
        return (bad[last] - bad[first]) * stretch, (every[last] - every[first]) * stretch

    def share(self, looks: Array, window: int) -> Array:
        """Bad of all; 0 where there were none."""
        if window > 6 * HOUR_SECONDS:  # as the rules add it up, from full half hours
            looks = looks // (HOUR_SECONDS // 2) * (HOUR_SECONDS // 2)
            bad = (
                self.bad[looks // EVALUATION_INTERVAL_SECONDS]
                - self.bad[(looks - window) // EVALUATION_INTERVAL_SECONDS]
            )
            every = (
                self.every[looks // EVALUATION_INTERVAL_SECONDS]
                - self.every[(looks - window) // EVALUATION_INTERVAL_SECONDS]
            )
        else:
            bad, every = self.increases(looks, window)
        share: Array = np.divide(bad, every, out=np.zeros_like(bad), where=every > 0)
        return share

    def evidence(self, looks: Array, window: int, budget: float) -> Array:
        bad, every = self.increases(looks, window)
        share = self.share(looks, window)
        with np.errstate(divide="ignore", invalid="ignore"):
            of_bad = bad * np.log10(share / budget)
            of_good = (every - bad) * np.log10(np.maximum(1 - share, 1e-12) / (1 - budget))
        evidence: Array = np.where(share > budget, of_bad + of_good, 0)
        return evidence

    def broken(self, looks: Array, budget: float) -> Array:
        """Where HighModelLatency is pending."""
        return self.share(looks, HIGH_LATENCY.window) > budget + 1e-9

    def missed(self, looks: Array, budget: float) -> Array:
        """Where ModelObjectiveMissed fires."""
        evidence = np.max(
            [self.evidence(looks, it, budget) for it in OBJECTIVE_MISSED.windows], axis=0
        )
        ago = OBJECTIVE_MISSED.before // EVALUATION_INTERVAL_SECONDS
        before = np.concatenate([np.zeros(ago), evidence[:-ago]])
        lately, _ = self.increases(looks, 2 * MINUTE_SECONDS)
        enough = (evidence > OBJECTIVE_MISSED.evidence) & (
            before > OBJECTIVE_MISSED.evidence_before
        )
        holds: Array = enough & (lately > 0.5)
        return holds


def _burns(counters: Counters, looks: Array, burn: Burn, budget: float, *, sure: bool) -> Array:
    limit = burn.factor * budget + 1e-9
    holds: Array = (counters.share(looks, burn.short) > limit) & (
        counters.share(looks, burn.long) > limit
    )
    if sure:
        holds &= counters.evidence(looks, burn.long, budget) > OBJECTIVE_MISSED.evidence
    return holds


def _outages(failed: Array, interval: float) -> int:
    """ModelDown: runs of failures without a success for five intervals, or for three minutes."""
    enough = max(MODEL_DOWN.failures, int(np.ceil(MODEL_DOWN.least / interval)))
    starts, ends = runs(failed)
    return int((ends - starts >= enough).sum())


def runs(holds: Array) -> tuple[Array, Array]:
    """Where it begins to hold, and where it does not any more."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], holds, [0]])))
    return edges[::2], edges[1::2]


def _alerts(holds: Array, hold: int, kept: int) -> int:
    """Runs of more than `hold` looks; those that begin within `kept` after another are the same."""
    starts, ends = runs(holds)
    long = ends - starts > hold
    starts, ends = starts[long], ends[long]
    if not len(starts):
        return 0
    return 1 + int((starts[1:] - ends[:-1] > kept).sum())
