"""Comparison of two sides of which only histograms are known.

A histogram has the number of requests that are slower than the bound of a bucket, but not their
latencies within a bucket. Percentiles are therefore not compared, but the shares of requests that
are slower than the bounds next to the percentiles.
"""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from probe.compare.comparison import (
    PERCENTILES,
    Comparison,
    Margins,
    PercentileBounds,
    Side,
    missing_signal_notes,
)
from probe.compare.difference import Difference, evaluate, unknown_difference
from probe.compare.shares import bad_share_difference, effect_of_parts, slow_share_difference
from probe.config.units import format_duration
from probe.result import Signal
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


@dataclass(frozen=True, slots=True)
class RecordedHistogram:
    """The times of one signal, in equal parts of the period of a side."""

    parts: Sequence[Counts]

    @property
    def bounds(self) -> set[float]:
        """The finite bounds of the buckets that all parts with successes have."""
        bounds = [set(counts.buckets) for counts in self.parts if counts.successes]
        return set.intersection(*bounds) - {math.inf} if bounds else set()

    @property
    def has_successes(self) -> bool:
        return any(counts.successes for counts in self.parts)

    def bad(self, threshold: float | None) -> list[Share]:
        """Return the share of bad requests in each part."""
        return [counts.bad(threshold) for counts in self.parts]

    def slower(self, bound: float) -> Share:
        return sum_shares(self.slower_in_parts(bound))

    def slower_in_parts(self, bound: float) -> list[Share]:
        return [counts.slower(bound) for counts in self.parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSide:
    """The requests of one side."""

    name: str
    histograms: Mapping[Signal, RecordedHistogram]
    """By signal. There is one of the latency."""
    thresholds: Mapping[Signal, Set[float]]
    """The thresholds (seconds) of the objectives at the end of the period, by signal."""

    @property
    def latency(self) -> RecordedHistogram:
        return self.histograms[Signal.LATENCY]

    @property
    def requests(self) -> int:
        return sum_shares(self.latency.bad(None)).requests

    @property
    def strictest_latency(self) -> float | None:
        """The smallest threshold of the latency (seconds)."""
        return min(self.thresholds.get(Signal.LATENCY, ()), default=None)

    def has(self, signal: Signal) -> bool:
        """Return whether there are successes with a value of `signal`."""
        return signal in self.histograms and self.histograms[signal].has_successes


def compare_histograms(a: RecordedSide, b: RecordedSide, *, margins: Margins) -> Comparison:
    """Return the comparison. Successes slower than the strictest objective of A are bad.

    If the histograms do not have its bucket all the time, only failures are bad.
    """
    known = [side.latency for side in (a, b) if side.has(Signal.LATENCY)]
    common = set.intersection(*(histogram.bounds for histogram in known)) if known else set()
    threshold = a.strictest_latency if a.strictest_latency in common else None
    notes = [*_objective_notes(a, b), *_latency_notes(a, b, common)]
    bad_a, bad_b = a.latency.bad(threshold), b.latency.bad(threshold)
    differences = [bad_share_difference(bad_a, bad_b, margin=margins.bad_share)]
    percentile_bounds: list[PercentileBounds] = []
    for signal in Signal:
        if signal is Signal.LATENCY or (a.has(signal) and b.has(signal)):
            pair = a.histograms[signal], b.histograms[signal]
            differences += _slow_differences(signal, *pair, margins)
            percentile_bounds += _bounds_of_percentiles(signal, *pair)
        else:
            notes += missing_signal_notes(signal, a.name, a.has(signal), b.name, b.has(signal))
    return Comparison(
        a=_side(a, bad_a),
        b=_side(b, bad_b),
        thresholds={} if threshold is None else {Signal.LATENCY: threshold},
        findings=evaluate(differences),
        notes=tuple(notes),
        percentile_bounds=tuple(percentile_bounds),
    )


def _side(side: RecordedSide, bad: Sequence[Share]) -> Side:
    total = sum_shares(bad)
    return Side(name=side.name, requests=total.requests, bad=total.count, reasons={})


def _objective_notes(a: RecordedSide, b: RecordedSide) -> Iterator[str]:
    """Yield the objectives that A and B do not have in common."""
    for signal in Signal:
        thresholds = [set(side.thresholds.get(signal, ())) for side in (a, b)]
        if thresholds[0] != thresholds[1]:
            texts = [", ".join(map(format_duration, sorted(side))) or "none" for side in thresholds]
            yield f"The objectives of the {signal.words} differ: {texts[0]} (A), {texts[1]} (B)."


def _latency_notes(a: RecordedSide, b: RecordedSide, common: Set[float]) -> Iterator[str]:
    """Yield what is missing in the comparison of the latency."""
    sides = (a, b)
    unknown = [side for side in sides if not side.has(Signal.LATENCY)]
    for side in unknown:
        yield f"{side.name} has no successes, so its latency is unknown."
    threshold = a.strictest_latency
    if len(unknown) < 2 and threshold is not None and threshold not in common:
        yield (
            "Slow requests do not count as bad: the histograms of A and B do not have a bucket of"
            f" {format_duration(threshold)}, the objective of A, all the time."
        )
    if not unknown and not common:
        yield "The histograms of A and B have no common bucket of successes."


def _slow_differences(
    signal: Signal, a: RecordedHistogram, b: RecordedHistogram, margins: Margins
) -> Iterator[Difference]:
    """Yield the differences of the shares of slower requests, at bounds that A and B have.

    Without such bounds, one difference is unknown.
    """
    bounds = sorted(a.bounds & b.bounds)
    if not bounds:
        yield unknown_difference(signal.words, signal, margin=margins.latency)
        return
    for bound in sorted(_compared_bounds(a, bounds)):
        total_a, total_b = a.slower(bound), b.slower(bound)
        yield slow_share_difference(
            total_a,
            total_b,
            signal=signal,
            threshold_seconds=bound,
            margin=slow_share_margin(total_a.ratio or 0.0, margins),
            effect=effect_of_parts(a.slower_in_parts(bound), b.slower_in_parts(bound)),
        )


def _bounds_of_percentiles(
    signal: Signal, a: RecordedHistogram, b: RecordedHistogram
) -> Iterator[PercentileBounds]:
    for name, ratio, _ in PERCENTILES:
        yield PercentileBounds(
            name=name, signal=signal, a=_percentile_bounds(a, ratio), b=_percentile_bounds(b, ratio)
        )


def _compared_bounds(side: RecordedHistogram, bounds: Sequence[float]) -> set[float]:
    """Return the bounds whose shares of faster requests are next to the percentiles, by their odds.

    The first bound above the largest percentile is included, so that a longer tail is found.
    """
    faster = [(1 - (side.slower(bound).ratio or 0.0), bound) for bound in bounds]
    ratios = [ratio for _, ratio, _ in PERCENTILES]
    above = next((bound for ratio, bound in faster if ratio >= max(ratios)), bounds[-1])
    return {above, *(_nearest_bound(faster, ratio) for ratio in ratios)}


def _nearest_bound(faster: Sequence[tuple[float, float]], ratio: float) -> float:
    """Return the bound in `faster` whose share of faster requests is nearest to `ratio`."""
    _, bound = min((abs(_log_odds(share) - _log_odds(ratio)), bound) for share, bound in faster)
    return bound


def slow_share_margin(share: float, margins: Margins) -> float:
    """Return the margin of the share of slower requests, whose value for A is `share`.

    With a margin of 5 % of the latency it is 5 percentage points at the median, 2.2 at p95 and 1 at
    p99: in proportion to the standard deviation of the share.
    """
    limited = min(max(share, MIN_SLOW_SHARE), 1 - MIN_SLOW_SHARE)
    return margins.latency * 2 * math.sqrt(limited * (1 - limited))


def _log_odds(ratio: float) -> float:
    limited = min(max(ratio, 1e-6), 1 - 1e-6)
    return math.log(limited / (1 - limited))


def _percentile_bounds(side: RecordedHistogram, ratio: float) -> tuple[float, float]:
    """Return between which bounds the percentile `ratio` is; 0 and infinity are possible."""
    bounds = sorted(side.bounds)
    first = next(
        (bound for bound in bounds if 1 - (side.slower(bound).ratio or 0.0) >= ratio), math.inf
    )
    return max((bound for bound in bounds if bound < first), default=0.0), first
