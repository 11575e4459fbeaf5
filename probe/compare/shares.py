"""Difference of two shares of requests: Fisher's exact test, and Newcombe's interval."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from probe.compare.difference import Difference, Scale
from probe.load.statistics import wilson_bounds

# Quantile of the normal distribution for each end of a 95 % interval.
NORMAL_QUANTILE = 1.96

# Probabilities that differ by less are equal: two of them can be the same fraction.
_RELATIVE_TOLERANCE = 1e-7

# Further terms of a sum are omitted.
_NEGLIGIBLE = 1e-15


@dataclass(frozen=True, slots=True)
class Share:
    """A number of `requests`, some of which are counted."""

    count: int
    requests: int

    @property
    def ratio(self) -> float | None:
        return self.count / self.requests if self.requests else None


def share_difference(name: str, a: Share, b: Share, *, margin: float) -> Difference:
    """Return the difference of the shares `a` and `b`. `margin` is a share of all requests."""
    ratio_a, ratio_b = a.ratio, b.ratio
    if ratio_a is None or ratio_b is None:
        value, lower, upper = None, -math.inf, math.inf
    else:
        value = ratio_b - ratio_a
        lower, upper = newcombe_interval(a, b)
    return Difference(
        name=name,
        scale=Scale.SHARE,
        a=ratio_a,
        b=ratio_b,
        difference=value,
        lower=lower,
        upper=upper,
        margin=margin,
        p_value=fisher_p_value(a, b),
    )


def newcombe_interval(a: Share, b: Share) -> tuple[float, float]:
    """Return the 95 % interval of the share `b` minus the share `a`, of at least one request each.

    The hybrid score interval: Newcombe, "Interval Estimation for the Difference Between Independent
    Proportions" (1998), method 10.
    """
    ratio_a, ratio_b = a.count / a.requests, b.count / b.requests
    bounds_a = wilson_bounds(a.count, a.requests, normal_quantile=NORMAL_QUANTILE)
    bounds_b = wilson_bounds(b.count, b.requests, normal_quantile=NORMAL_QUANTILE)
    value = ratio_b - ratio_a
    return (
        value - math.hypot(ratio_b - bounds_b.lower, bounds_a.upper - ratio_a),
        value + math.hypot(bounds_b.upper - ratio_b, ratio_a - bounds_a.lower),
    )


def fisher_p_value(a: Share, b: Share) -> float:
    """Return the two-sided p-value of Fisher's exact test for equal shares.

    It is the probability of all tables that are at most as probable as the observed one, with the
    same sums of rows and columns. 1 without requests.
    """
    counted = a.count + b.count
    first, last = max(0, counted - b.requests), min(counted, a.requests)
    if first == last:
        return 1.0
    table = _Table(a.requests, b.requests, counted)
    observed = table.probability(a.count)
    limit = observed * (1 + _RELATIVE_TOLERANCE)
    mode = (counted + 1) * (a.requests + 1) // (a.requests + b.requests + 2)
    left = _last_at_most(table, limit, range(first, mode + 1))
    right = _last_at_most(table, limit, range(last, mode, -1))
    total = 0.0
    if left is not None:
        total += sum(table.tail(left, -1, first))
    if right is not None:
        total += sum(table.tail(right, 1, last))
    return min(1.0, total)


class _Table:
    """The hypergeometric distribution of the number of counted requests of side A."""

    def __init__(self, requests_a: int, requests_b: int, counted: int) -> None:
        self._a, self._b, self._counted = requests_a, requests_b, counted
        self._ways = _log_choose(requests_a + requests_b, counted)

    def probability(self, count: int) -> float:
        ways = _log_choose(self._a, count) + _log_choose(self._b, self._counted - count)
        return math.exp(ways - self._ways)

    def tail(self, count: int, step: int, end: int) -> Iterator[float]:
        """Yield the probabilities from `count` to `end`, until they are negligible."""
        largest = probability = self.probability(count)
        while probability > largest * _NEGLIGIBLE:
            yield probability
            if count == end:
                return
            probability *= self._ratio(count) if step > 0 else 1 / self._ratio(count - 1)
            count += step

    def _ratio(self, count: int) -> float:
        """Return the probability of `count` + 1 divided by that of `count`."""
        missing = self._counted - count
        return (self._a - count) * missing / ((count + 1) * (self._b - missing + 1))


def _log_choose(total: int, count: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)


def _last_at_most(table: _Table, limit: float, counts: range) -> int | None:
    """Return the last of `counts` whose probability is at most `limit`; None if there is none.

    The probabilities of `counts` are ascending.
    """
    low, high = 0, len(counts)
    while low < high:
        middle = (low + high) // 2
        if table.probability(counts[middle]) <= limit:
            low = middle + 1
        else:
            high = middle
    return counts[low - 1] if low else None
