"""Statistics of a load test: bounds of the share of bad requests, and intervals of percentiles.

All bounds are one-sided with a confidence of 95 %; the intervals are two-sided with 95 %.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression, stdev
from typing import TypeVar

from probe.load.measurement import LatencyHistogram
from probe.statistics.binomial import binomial_sf
from probe.statistics.intervals import Bounds, exact_bounds, wilson_bounds

_T = TypeVar("_T")

# Number of batches, and the quantile of Student's t distribution with nine degrees of freedom.
BATCHES = 10
STUDENT_QUANTILE = 1.8331

# Quantile of Student's t distribution with eight degrees of freedom, for the slope of a line. One
# steady step in a hundred is above it.
SLOPE_QUANTILE = 2.8965

# Fewer requests in a batch say too little about the variance between batches.
MIN_BATCH_REQUESTS = 5

# Probability of an error of each side of a two-sided interval.
_TAIL = 0.025


def batch_bounds(batches: Sequence[tuple[int, int]]) -> Bounds:
    """Return the bounds of the share of bad requests, from the shares of BATCHES periods.

    `batches` are numbers of bad requests and of requests. Requests that wait in the same queue are
    correlated, so bounds for independent requests are too narrow. The means of long periods are
    almost independent (the method of batch means: Law, "Simulation Modeling and Analysis", 9.5).
    """
    shares = [bad / requests for bad, requests in batches]
    spread = STUDENT_QUANTILE * stdev(shares) / math.sqrt(len(shares))
    return Bounds(max(0.0, fmean(shares) - spread), min(1.0, fmean(shares) + spread))


def bad_share_bounds(seconds: Sequence[tuple[int, int]]) -> Bounds:
    """Return the bounds of the share of bad requests of a steady load: the widest of all methods.

    `seconds` are the numbers of bad requests and of requests of successive seconds, with at least
    one request.
    """
    bad, requests = (sum(column) for column in zip(*seconds, strict=True))
    bounds = [wilson_bounds(bad, requests), exact_bounds(bad, requests)]
    batches = _batches(seconds)
    if min(count for _, count in batches) >= MIN_BATCH_REQUESTS:
        bounds.append(batch_bounds(batches))
    return Bounds(min(bound.lower for bound in bounds), max(bound.upper for bound in bounds))


def _batches(seconds: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the sums of equal periods."""
    return [
        (sum(bad for bad, _ in period), sum(count for _, count in period))
        for period in _periods(seconds)
    ]


def _periods(values: Sequence[_T]) -> list[Sequence[_T]]:
    """Return BATCHES equal periods of `values`; the remainder at the start is omitted."""
    size = len(values) // BATCHES
    start = len(values) - size * BATCHES
    return [values[start + i * size : start + (i + 1) * size] for i in range(BATCHES)]


def has_growth(values: Sequence[float], min_ratio: float) -> bool:
    """Return whether successive values grow by `min_ratio` of their mean from start to end.

    The slope of the means of BATCHES periods must be significant: Student's t test of a linear
    regression, one-sided with 1 %. False for fewer values than BATCHES.
    """
    if len(values) < BATCHES:
        return False
    means = [fmean(period) for period in _periods(values)]
    positions = range(BATCHES)
    slope, intercept = linear_regression(positions, means)
    residuals = [mean - intercept - slope * x for x, mean in zip(positions, means, strict=True)]
    variance = sum(residual**2 for residual in residuals) / (BATCHES - 2)
    squares = sum((x - fmean(positions)) ** 2 for x in positions)
    is_significant = slope > SLOPE_QUANTILE * math.sqrt(variance / squares)
    return is_significant and slope * BATCHES > min_ratio * fmean(means)


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile of the latency (seconds), with a 95 % interval. Infinite: of failed requests."""

    seconds: float
    lower: float
    upper: float


def latency_quantile(latencies: LatencyHistogram, requests: int, ratio: float) -> Quantile | None:
    """Return the quantile `ratio` of `requests`, of which those without a latency are the slowest.

    The interval is that of order statistics, which is valid for all distributions of independent
    requests (David and Nagaraja, "Order Statistics", 7.1). None if there are too few requests for
    an upper bound: less than 72 for 0.95, and 368 for 0.99.
    """
    if requests == 0 or ratio**requests > _TAIL:
        return None
    # The largest rank r with P(Bin(n, ratio) < r) <= 2.5 %, and the smallest with 97.5 %.
    lower = _first_rank(requests, lambda rank: 1 - binomial_sf(requests, rank, ratio) > _TAIL) - 1
    upper = _first_rank(requests, lambda rank: binomial_sf(requests, rank, ratio) <= _TAIL)
    rank = math.ceil(ratio * requests)
    return Quantile(
        latencies.at_rank(rank),
        latencies.at_rank(max(1, lower)),
        latencies.at_rank(min(requests, upper)),
    )


def _first_rank(requests: int, is_reached: Callable[[int], bool]) -> int:
    """Return the first rank of 1 to `requests` for which `is_reached`, which stays true."""
    return bisect_left(range(1, requests + 1), True, key=is_reached) + 1
