"""Difference of the same percentile of two sides, from order statistics.

The number of requests that are faster than the percentile of the population has a binomial
distribution, whatever the distribution of the latency is. The confidence that the percentile is
between two of the sorted latencies of a side follows from it (David and Nagaraja, "Order
Statistics", 7.1). The confidence for a ratio of the percentiles follows from that of both sides
(Xie and Singh, "Confidence Distribution", 2013). A bootstrap of the percentiles estimates the same
confidence with random samples.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from probe.compare.difference import INTERVAL_TAIL, Difference, Scale
from probe.compare.shares import MAX_PARTS, effect_of_parts, split_shares
from probe.result import Signal
from probe.statistics.binomial import binomial_pmf
from probe.statistics.design_effect import Share

# Ranks with a smaller probability are omitted.
_NEGLIGIBLE = 1e-12

# Relative error of the ends of an interval.
_PRECISION = 1e-4


@dataclass(frozen=True, slots=True)
class PercentileConfidence:
    """Confidence in intervals of a percentile: `weights[i]` for `lower[i]` to `upper[i]`.

    Times are seconds, ascending. A percentile below or above all latencies has 0 and infinity.
    """

    lower: Sequence[float]
    upper: Sequence[float]
    weights: Sequence[float]
    sums: Sequence[float]
    """Sums of the weights before each index, and of all."""

    @classmethod
    def of(
        cls, latencies: Sequence[float], ratio: float, *, design_effect: float = 1.0
    ) -> "PercentileConfidence":
        """Return the confidence in the percentile `ratio`. `latencies` are sorted.

        They have the evidence of `design_effect` times fewer independent latencies.
        """
        requests = len(latencies)
        effective = round(requests / design_effect)
        bounds = (0.0, *latencies, math.inf)
        # Seven standard deviations, and one rank.
        spread = math.ceil(7 * math.sqrt(effective * ratio * (1 - ratio))) + 1
        center = round(effective * ratio)
        lower, upper, weights = [], [], []
        for faster in range(max(0, center - spread), min(effective, center + spread) + 1):
            weight = binomial_pmf(effective, faster, ratio)
            if weight > _NEGLIGIBLE:
                first = faster * requests // effective if effective else 0
                last = -(-(faster + 1) * requests // effective) if effective else 1
                lower.append(bounds[first])
                upper.append(bounds[min(last, requests + 1)])
                weights.append(weight)
        return cls(lower, upper, weights, [0.0, *accumulate(weights)])

    def below(self, seconds: float) -> float:
        """Return the confidence that the percentile is below `seconds`, at least."""
        return self.sums[bisect_left(self.upper, seconds)]

    def above(self, other: "PercentileConfidence", ratio: float) -> float:
        """Return the confidence that this percentile is above `ratio` times the `other` one."""
        return sum(
            weight * other.below(seconds / ratio)
            for seconds, weight in zip(self.lower, self.weights, strict=True)
        )


def percentile_difference(
    name: str,
    ratio: float,
    a: Sequence[float],
    b: Sequence[float],
    *,
    margin: float,
    signal: Signal = Signal.LATENCY,
) -> Difference:
    """Return the relative difference of the percentile `ratio` of the times `a` and `b`.

    The times (seconds) are in the order in which they were measured. `margin` is below 1.
    """
    effect = effect_of_parts(_slow_shares(a, ratio), _slow_shares(b, ratio))
    a, b = sorted(a), sorted(b)
    confidence_a, confidence_b = (
        PercentileConfidence.of(side, ratio, design_effect=effect) for side in (a, b)
    )
    worse = confidence_b.above(confidence_a, 1 + margin)
    better = confidence_a.above(confidence_b, 1 / (1 - margin))
    value_a, value_b = _percentile(a, ratio), _percentile(b, ratio)
    lower = _lower_ratio(confidence_b, confidence_a)
    upper = _lower_ratio(confidence_a, confidence_b)
    return Difference(
        name=name,
        signal=signal,
        scale=Scale.RELATIVE,
        a=value_a,
        b=value_b,
        value=value_b / value_a - 1 if value_a and value_b else None,
        lower=lower - 1 if lower else -math.inf,
        upper=1 / upper - 1 if upper else math.inf,
        margin=margin,
        p_value=min(1.0, 2 * (1 - max(worse, better))),
    )


def _slow_shares(latencies: Sequence[float], ratio: float) -> list[Share]:
    """Return the share of `latencies` above their percentile `ratio` in each of MAX_PARTS parts."""
    threshold = _percentile(sorted(latencies), ratio) or 0.0
    return split_shares([latency > threshold for latency in latencies], MAX_PARTS)


def _percentile(latencies: Sequence[float], ratio: float) -> float | None:
    return latencies[math.ceil(ratio * len(latencies)) - 1] if latencies else None


def _lower_ratio(numerator: PercentileConfidence, denominator: PercentileConfidence) -> float:
    """Return the lower end of the interval of the ratio of two percentiles; 0 if it is unknown."""
    needed = 1 - INTERVAL_TAIL
    low = _smallest_quotient(numerator, denominator)
    if low is None or numerator.above(denominator, low) < needed:
        return 0.0
    high = 2 * low
    while numerator.above(denominator, high) >= needed:
        low, high = high, 2 * high
    while high > low * (1 + _PRECISION):
        middle = math.sqrt(low * high)
        if numerator.above(denominator, middle) >= needed:
            low = middle
        else:
            high = middle
    return low


def _smallest_quotient(
    numerator: PercentileConfidence, denominator: PercentileConfidence
) -> float | None:
    """Return a ratio below all that the finite bounds of two percentiles can have."""
    smallest = next((seconds for seconds in numerator.lower if seconds > 0), None)
    greatest = next((seconds for seconds in reversed(denominator.upper) if seconds < math.inf), 0.0)
    return smallest / greatest / 2 if smallest and greatest else None
