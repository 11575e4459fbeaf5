"""Bounds of the share of bad requests, and what is evidence about it.

The requests are independent. Bounds are one-sided with a confidence of 95 %, unless another
quantile is given.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from probe.statistics.binomial import binomial_sf

# Quantiles of the normal distribution: for a one-sided bound with 95 %, and for each end of a 95 %
# interval.
ONE_SIDED_NORMAL_QUANTILE = 1.6449
TWO_SIDED_NORMAL_QUANTILE = 1.96

# Probability of an error of a one-sided bound.
MAX_ERROR_PROBABILITY = 0.05

# Fewer results are too few for any statistic.
MIN_RESULTS = 10


@dataclass(frozen=True, slots=True)
class Bounds:
    """Lower and upper bound of a share."""

    lower: float
    upper: float


def wilson_bounds(
    bad: float, requests: float, *, normal_quantile: float = ONE_SIDED_NORMAL_QUANTILE
) -> Bounds:
    """Return the bounds of the share of bad requests, if these are independent.

    Wilson's score interval (Wilson, 1927), as recommended by Brown, Cai and DasGupta, "Interval
    Estimation for a Binomial Proportion" (2001). `requests` is positive.
    """
    z, share = normal_quantile, bad / requests
    center = share + z * z / (2 * requests)
    spread = z * math.sqrt(share * (1 - share) / requests + (z / (2 * requests)) ** 2)
    scale = 1 + z * z / requests
    return Bounds(max(0.0, (center - spread) / scale), min(1.0, (center + spread) / scale))


def exact_bounds(bad: int, requests: int) -> Bounds:
    """Return the exact bounds of the share of bad requests, if these are independent.

    Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the
    Binomial" (1934). `requests` is positive. With few bad requests, Wilson's bounds are too narrow.
    """
    lower = upper = 0.0
    if bad:
        # The share at which at least `bad` bad requests become improbable.
        lower = _solve(lambda share: binomial_sf(requests, bad, share) > MAX_ERROR_PROBABILITY)
    if bad == requests:
        upper = 1.0
    else:
        # The share at which at most `bad` bad requests become improbable.
        limit = 1 - MAX_ERROR_PROBABILITY
        upper = _solve(lambda share: binomial_sf(requests, bad + 1, share) >= limit)
    return Bounds(lower, upper)


def _solve(is_above: Callable[[float], bool]) -> float:
    """Return the share at which `is_above` becomes true, with an error of 1e-6."""
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if is_above(middle) else (middle, high)
    return high


def is_above(bad: int, requests: int, share: float) -> bool:
    """Return whether the share of bad requests is above `share`, if they are independent.

    It is if as many bad requests are improbable with `share`: the exact binomial test.
    """
    return bad > 0 and binomial_sf(requests, bad, share) <= MAX_ERROR_PROBABILITY


def min_requests(target: float) -> int:
    """Return the number of good requests without a bad one that is evidence for `target`.

    It is the smallest n with target^n <= 5 %: 59 for 95 %, 299 for 99 %. `target` is a ratio below
    1.
    """
    return math.ceil(math.log(MAX_ERROR_PROBABILITY) / math.log(target))


def min_results(ratio: float) -> int:
    """Return the minimum number of results for a meaningful statistic about `ratio`.

    `ratio` is the rank of a quantile or the target of an objective. With fewer results, the
    expected number of results beyond it is below one, so a single result decides.
    """
    return max(MIN_RESULTS, round(1 / (1 - ratio)))
