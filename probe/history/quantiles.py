"""Quantiles of the latencies and phases in the history, for the pages and the API."""

import math
from collections.abc import Iterable

from probe.result import Phase, Result

QUANTILES = (0.5, 0.95, 0.99)


def quantiles(seconds: Iterable[float]) -> dict[float, float]:
    """Return `QUANTILES` of measured times by nearest rank; empty without times."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {q: ordered[math.ceil(q * len(ordered)) - 1] for q in QUANTILES}


def phase_quantiles(results: Iterable[Result]) -> dict[Phase, dict[float, float]]:
    """Return the quantiles of each phase over the successes in which it happened."""
    seconds: dict[Phase, list[float]] = {phase: [] for phase in Phase}
    for result in results:
        if result.failure is None:
            for phase, time in result.phases.items():
                seconds[phase].append(time)
    return {phase: quantiles(times) for phase, times in seconds.items() if times}
