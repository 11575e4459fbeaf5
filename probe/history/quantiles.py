"""Quantiles of times that were measured, not of buckets."""

import math
from collections.abc import Iterable

from probe.result import Phase, Result

QUANTILES = (0.5, 0.95, 0.99)


def quantiles(seconds: Iterable[float]) -> dict[float, float]:
    """By the nearest rank: each is a time that was measured. Empty where none was."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    return {q: ordered[math.ceil(q * len(ordered)) - 1] for q in QUANTILES}


def phase_quantiles(results: Iterable[Result]) -> dict[Phase, dict[float, float]]:
    """The quantiles of each phase over the successes in which it happened."""
    seconds: dict[Phase, list[float]] = {phase: [] for phase in Phase}
    for result in results:
        if result.failure is None:
            for phase, time in result.phases.items():
                seconds[phase].append(time)
    return {phase: quantiles(times) for phase, times in seconds.items() if times}
