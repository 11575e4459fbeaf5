"""Differences of two shares of requests: Fisher's exact test, and Newcombe's interval.

Slow and failed requests often come together, and are then less evidence than independent ones. If
the difference of two sides varies more between parts of the measurement than chance explains, the
requests count as fewer independent ones.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean

from probe.compare.difference import Difference, Scale
from probe.config.units import format_duration
from probe.result import Signal
from probe.statistics.design_effect import (
    Share,
    design_effect,
    difference_design_effect,
    sum_shares,
)
from probe.statistics.intervals import TWO_SIDED_NORMAL_QUANTILE, wilson_bounds

# Parts into which a measurement is divided.
MAX_PARTS = 20

# A variance between fewer parts is not known.
MIN_PARTS = 10

# A part counts if each side has this number of requests in it.
MIN_PART_REQUESTS = 5

# Bad requests in at most this number of parts count as one independent event per part, if there are
# parts without any.
MAX_CLUSTERED_PARTS = 2

# Probabilities that differ by less are equal: two of them can be the same fraction.
_RELATIVE_TOLERANCE = 1e-7

# Further terms of a sum are omitted.
_NEGLIGIBLE = 1e-15


def bad_share_difference(
    parts_a: Sequence[Share], parts_b: Sequence[Share], *, margin: float
) -> Difference:
    """Return the difference of the shares of bad requests, with the p-value of Fisher's exact test.

    `parts_a` and `parts_b` are the shares in the same parts of the measurement. An outage makes
    many requests bad at once, so they count as fewer independent ones.

    The test is that for any difference: a few failures can show that B is worse, but not by how
    much.
    """
    a, b = sum_shares(parts_a), sum_shares(parts_b)
    effect = max(effect_of_parts(parts_a, parts_b), *map(_cluster_effect, (parts_a, parts_b)))
    independent_a, independent_b = a.divided_by(effect), b.divided_by(effect)
    value, lower, upper = _difference(a, b, independent_a, independent_b)
    return Difference(
        name="bad",
        scale=Scale.SHARE,
        a=a.ratio,
        b=b.ratio,
        value=value,
        lower=lower,
        upper=upper,
        margin=margin,
        p_value=fisher_p_value(independent_a, independent_b),
    )


def slow_share_difference(
    a: Share,
    b: Share,
    *,
    signal: Signal,
    threshold_seconds: float,
    margin: float,
    effect: float,
) -> Difference:
    """Return the difference of the shares of requests that are slower than `threshold_seconds`.

    The p-value is that of the test that the difference is at most the margin, by the interval. The
    requests count as `effect` times fewer independent ones.
    """
    value, lower, upper = _difference(a, b, a.divided_by(effect), b.divided_by(effect))
    p_value = 1.0
    if value is not None and abs(value) > margin:
        width = value - lower if value > 0 else upper - value
        deviations = (abs(value) - margin) / (width / TWO_SIDED_NORMAL_QUANTILE)
        p_value = math.erfc(deviations / math.sqrt(2))
    return Difference(
        name=f"> {format_duration(threshold_seconds)}",
        signal=signal,
        scale=Scale.SHARE,
        a=a.ratio,
        b=b.ratio,
        value=value,
        lower=lower,
        upper=upper,
        margin=margin,
        p_value=p_value,
        threshold_seconds=threshold_seconds,
    )


def _difference(
    a: Share, b: Share, independent_a: Share, independent_b: Share
) -> tuple[float | None, float, float]:
    """Return the difference of `a` and `b`, and its interval from independent requests."""
    ratio_a, ratio_b = a.ratio, b.ratio
    if ratio_a is None or ratio_b is None:
        return None, -math.inf, math.inf
    if not independent_a.requests or not independent_b.requests:
        return ratio_b - ratio_a, -math.inf, math.inf
    return ratio_b - ratio_a, *newcombe_interval(independent_a, independent_b)


def newcombe_interval(a: Share, b: Share) -> tuple[float, float]:
    """Return the 95 % interval of the share `b` minus the share `a`, of at least one request each.

    The hybrid score interval: Newcombe, "Interval Estimation for the Difference Between Independent
    Proportions" (1998), method 10.
    """
    ratio_a, ratio_b = a.count / a.requests, b.count / b.requests
    bounds_a = wilson_bounds(a.count, a.requests, normal_quantile=TWO_SIDED_NORMAL_QUANTILE)
    bounds_b = wilson_bounds(b.count, b.requests, normal_quantile=TWO_SIDED_NORMAL_QUANTILE)
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


def effect_of_parts(a: Sequence[Share], b: Sequence[Share]) -> float:
    """Return the design effect of the difference, at least 1.

    `a` and `b` are the shares of both sides in the same parts of the measurement. If the sides have
    no requests at the same time, the result is the design effect of the shares of each side. It is
    1 for few requests.
    """
    pairs = [(x, y) for x, y in zip(a, b, strict=False) if _is_enough(x) and _is_enough(y)]
    if len(pairs) >= MIN_PARTS:
        return max(1.0, difference_design_effect(*zip(*pairs, strict=True)))
    sides = [list(filter(_is_enough, side)) for side in (a, b)]
    weights = [max(0, len(side) - 1) for side in sides]
    if sum(weights) < MIN_PARTS - 1:
        return 1.0
    return max(1.0, fmean(map(design_effect, sides), weights))


def _cluster_effect(parts: Sequence[Share]) -> float:
    """Return the number of bad requests per bad part, if they are in MAX_CLUSTERED_PARTS or less.

    The variance between few parts is not known well. A side without a good part has no clusters.
    """
    bad = [share.count for share in parts if share.count]
    has_others = sum(share.requests > 0 for share in parts) > len(bad)
    if bad and has_others and len(bad) <= MAX_CLUSTERED_PARTS:
        return sum(bad) / len(bad)
    return 1.0


def _is_enough(share: Share) -> bool:
    return share.requests >= MIN_PART_REQUESTS


def split_shares(flags: Sequence[bool], parts: int) -> list[Share]:
    """Return the share of `flags` that are set in each of `parts` equal parts."""
    ends = [len(flags) * number // parts for number in range(parts + 1)]
    return [Share(sum(flags[start:end]), end - start) for start, end in pairwise(ends)]


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
