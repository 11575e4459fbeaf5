"""Intervals of medians over the rounds of a benchmark."""

import math
from collections.abc import Iterable

# On each side of an interval.
MAX_TAIL = 0.025


def median_interval(values: Iterable[float]) -> tuple[float, float]:
    """Return order statistics between which the median is with a confidence of at least 95 %.

    Each value is above the median with probability one half. With less than six values, return the
    smallest and the largest one, whose confidence is lower.
    """
    ordered = sorted(values)
    ranks = range(1, len(ordered) // 2 + 1)
    below = (binomial_cdf(rank - 1, len(ordered)) for rank in ranks)
    rank = max(1, sum(share <= MAX_TAIL for share in below))
    return ordered[rank - 1], ordered[-rank]


def binomial_cdf(count: int, rounds: int) -> float:
    """Return the probability of at most `count` heads in `rounds` tosses of a coin."""
    return sum(math.comb(rounds, heads) for heads in range(count + 1)) * 0.5**rounds
