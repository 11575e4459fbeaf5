"""Comparison of two sides whose latencies are known as histograms only.

A histogram tells how many requests are slower than the bound of a bucket, and not how the latencies
are distributed within a bucket. So the shares of slower requests are compared, at the bounds next
to the percentiles.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from probe.compare.comparison import PERCENTILES, Comparison, Margins, PercentileBounds, Side
from probe.compare.difference import Difference, evaluate, unknown_difference
from probe.compare.shares import bad_share_difference, effect_of_parts, slow_share_difference
from probe.config.units import format_duration
from probe.statistics.design_effect import Share, sum_shares

# Margins of the shares of slower requests are not smaller than that of this share.
MIN_SLOW_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Numbers of requests in a part of the period."""

    buckets: Mapping[float, int]
    """Successes up to each bound (seconds); that of infinity has all successes."""
    failures: int

    @property
    def successes(self) -> int:
        return self.buckets.get(math.inf, 0)

    def slower(self, bound: float) -> Share:
        """Return the share of the successes that are slower than `bound`."""
        return Share(self.successes - self.buckets.get(bound, 0), self.successes)

    def bad(self, threshold: float | None) -> Share:
        """Return the share of the requests that failed, or are slower than `threshold`."""
        slow = self.slower(threshold).count if threshold is not None else 0
        return Share(self.failures + slow, self.failures + self.successes)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSide:
    """The requests of one side, in equal parts of its period."""

    name: str
    parts: Sequence[Counts]

    @property
    def bounds(self) -> set[float]:
        """The finite bounds of the buckets that all parts with requests have."""
        bounds = [set(counts.buckets) for counts in self.parts if counts.successes]
        return set.intersection(*bounds) - {math.inf} if bounds else set()

    @property
    def has_successes(self) -> bool:
        return any(counts.successes for counts in self.parts)

    @property
    def requests(self) -> int:
        return self.total_bad(None).requests

    def total_bad(self, threshold: float | None) -> Share:
        return sum_shares(counts.bad(threshold) for counts in self.parts)

    def slower(self, bound: float) -> Share:
        return sum_shares(counts.slower(bound) for counts in self.parts)


def compare_histograms(
    a: RecordedSide, b: RecordedSide, *, threshold: float | None, margins: Margins
) -> Comparison:
    """Return the comparison. Successes slower than `threshold` (seconds) are bad."""
    known = [side for side in (a, b) if side.has_successes]
    common = set.intersection(*(side.bounds for side in known)) if known else set()
    notes = [
        f"{side.name} has no successes, so its latency is unknown."
        for side in (a, b)
        if not side.has_successes
    ]
    if known and threshold is not None and threshold not in common:
        notes.append(
            f"Only failures are bad: no common bucket has the bound {format_duration(threshold)},"
            " which is the objective of A."
        )
        threshold = None
    bounds = sorted(common) if len(known) == 2 else []
    if not bounds and len(known) == 2:
        notes.append("The histograms of A and B have no common bucket of successes.")
    bad_a, bad_b = a.total_bad(threshold), b.total_bad(threshold)
    differences = [
        bad_share_difference(
            [counts.bad(threshold) for counts in a.parts],
            [counts.bad(threshold) for counts in b.parts],
            margin=margins.bad_share,
        ),
        *_slow_differences(a, b, bounds, margins),
    ]
    return Comparison(
        a=Side(name=a.name, requests=bad_a.requests, bad=bad_a.count, reasons={}),
        b=Side(name=b.name, requests=bad_b.requests, bad=bad_b.count, reasons={}),
        findings=evaluate(differences),
        notes=tuple(notes),
        resolution=tuple(
            PercentileBounds(
                name=name, a=_percentile_bounds(a, ratio), b=_percentile_bounds(b, ratio)
            )
            for name, ratio, _ in PERCENTILES
        ),
    )


def _slow_differences(
    a: RecordedSide, b: RecordedSide, bounds: Sequence[float], margins: Margins
) -> Iterator[Difference]:
    """Yield the differences of the shares of slower requests. Without `bounds`, one is unknown."""
    if not bounds:
        yield unknown_difference("latency", margin=margins.latency)
        return
    for bound in sorted(_compared_bounds(a, bounds)):
        total_a, total_b = a.slower(bound), b.slower(bound)
        yield slow_share_difference(
            total_a,
            total_b,
            threshold_seconds=bound,
            margin=slow_share_margin(total_a.ratio or 0.0, margins),
            effect=effect_of_parts(_slower_in_parts(a, bound), _slower_in_parts(b, bound)),
        )


def _compared_bounds(side: RecordedSide, bounds: Sequence[float]) -> set[float]:
    """Return the bounds whose shares of faster requests are next to the percentiles, by their odds.

    The first bound above the largest percentile is one of them: a longer tail must not be missed.
    """
    faster = [(1 - (side.slower(bound).ratio or 0.0), bound) for bound in bounds]
    ratios = [ratio for _, ratio, _ in PERCENTILES]
    above = next((bound for ratio, bound in faster if ratio >= max(ratios)), bounds[-1])
    return {above, *(_nearest_bound(faster, ratio) for ratio in ratios)}


def _nearest_bound(faster: Sequence[tuple[float, float]], ratio: float) -> float:
    """Return the bound with a share of faster requests next to `ratio`. `faster` has both."""
    _, bound = min((abs(_log_odds(share) - _log_odds(ratio)), bound) for share, bound in faster)
    return bound


def _slower_in_parts(side: RecordedSide, bound: float) -> list[Share]:
    return [counts.slower(bound) for counts in side.parts]


def slow_share_margin(share: float, margins: Margins) -> float:
    """Return the margin of a share of slower requests that is `share` for A.

    With a margin of 5 % of the latency it is 5 percentage points at the median, 2.2 at p95 and 1 at
    p99: in proportion to the standard deviation of the share.
    """
    limited = min(max(share, MIN_SLOW_SHARE), 1 - MIN_SLOW_SHARE)
    return margins.latency * 2 * math.sqrt(limited * (1 - limited))


def _log_odds(ratio: float) -> float:
    limited = min(max(ratio, 1e-6), 1 - 1e-6)
    return math.log(limited / (1 - limited))


def _percentile_bounds(side: RecordedSide, ratio: float) -> tuple[float, float]:
    """Return between which bounds the percentile `ratio` is; 0 and infinity are possible."""
    bounds = sorted(side.bounds)
    first = next(
        (bound for bound in bounds if 1 - (side.slower(bound).ratio or 0.0) >= ratio), math.inf
    )
    return max((bound for bound in bounds if bound < first), default=0.0), first
