"""Quantiles of the latencies and phases in the history, for the pages and the API."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from probe.result import Phase, Result

QUANTILES = (0.5, 0.95, 0.99)


class PhaseQuantiles(NamedTuple):
    """Number of successes in which a phase happened, and quantiles of its times (seconds)."""

    successes: int
    quantiles: Mapping[float, float]


def quantiles(seconds: Iterable[float]) -> dict[float, float]:
    """Return `QUANTILES` of measured times by nearest rank; empty without times."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {q: ordered[math.ceil(q * len(ordered)) - 1] for q in QUANTILES}


def phase_quantiles(results: Iterable[Result]) -> dict[Phase, PhaseQuantiles]:
    """Return the times of each phase that happened in a success."""
    seconds: dict[Phase, list[float]] = {phase: [] for phase in Phase}
    for result in results:
        if result.failure is None and result.counts:
            for phase, time in result.phases.items():
                seconds[phase].append(time)
    return {
        phase: PhaseQuantiles(len(times), quantiles(times))
        for phase, times in seconds.items()
        if times
    }
