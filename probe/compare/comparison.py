"""A comparison of two sides: the measures, their margins and the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from probe.compare.difference import Difference, Finding, Verdict, evaluate, overall
from probe.compare.percentiles import percentile_difference
from probe.compare.shares import (
    MAX_PARTS,
    MIN_PART_REQUESTS,
    bad_share_difference,
    split_shares,
)
from probe.compare.side_results import SideResults
from probe.result import STREAM_SIGNALS, Signal

# The percentiles that are compared, and the multiple of the margin that each of them has. The tail
# of a distribution varies more, so its percentiles need more requests for the same precision.
PERCENTILES = (("p50", 0.50, 1), ("p95", 0.95, 2), ("p99", 0.99, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """The largest differences that do not matter."""

    latency: float
    """Relative difference of the median, such as 0.05."""
    bad_share: float
    """Difference of the share of bad requests, such as 0.01."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a comparison."""

    name: str
    """How the user names the side, such as `chat@version=1`."""
    requests: int
    bad: int
    reasons: Mapping[str, int]
    """Numbers of bad requests by reason of the failure, or `slow`. Empty: unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentileBounds:
    """Between which bounds of a histogram a percentile of each side is (seconds)."""

    name: str
    signal: Signal
    a: tuple[float, float]
    b: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two sides with their differences."""

    a: Side
    b: Side
    thresholds: Mapping[Signal, float]
    """The largest good value (seconds) of each signal. Without any, only failures are bad."""
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = field(default=())
    """Sentences about the measurement, such as its interruption."""
    percentile_bounds: tuple[PercentileBounds, ...] = field(default=())
    """Bounds of the percentiles of recorded sides. Empty for sides that were measured now."""

    @property
    def verdict(self) -> Verdict:
        return overall(self.findings)


def compare_results(
    a: SideResults, b: SideResults, *, margins: Margins, notes: Sequence[str] = ()
) -> Comparison:
    """Return the comparison of two sides that were measured."""
    missing = [
        note
        for signal in STREAM_SIGNALS
        for note in missing_signal_notes(
            signal, a.name, bool(a.times[signal]), b.name, bool(b.times[signal])
        )
    ]
    return Comparison(
        a=_side(a),
        b=_side(b),
        thresholds=a.thresholds,
        findings=evaluate(result_differences(a, b, margins)),
        notes=(*notes, *missing),
    )


def missing_signal_notes(
    signal: Signal, name_a: str, is_in_a: bool, name_b: str, is_in_b: bool
) -> list[str]:
    """Return that `signal` is not compared, if one side only has values of it."""
    if is_in_a == is_in_b:
        return []
    name = name_b if is_in_a else name_a
    return [f"{name} has no {signal.words}, so it is not compared."]


def _side(results: SideResults) -> Side:
    return Side(
        name=results.name,
        requests=results.requests,
        bad=results.bad,
        reasons=dict(results.bad_by_reason.most_common()),
    )


def _part_count(a: SideResults, b: SideResults) -> int:
    """Return the number of parts of the measurement. Each has enough requests for a variance."""
    return max(1, min(MAX_PARTS, min(a.requests, b.requests) // MIN_PART_REQUESTS))


def result_differences(a: SideResults, b: SideResults, margins: Margins) -> list[Difference]:
    """Return the difference of the bad share, and of each percentile of the times."""
    count = _part_count(a, b)
    signals = [signal for signal in STREAM_SIGNALS if a.times[signal] and b.times[signal]]
    return [
        bad_share_difference(
            split_shares(a.is_bad, count), split_shares(b.is_bad, count), margin=margins.bad_share
        ),
        *(
            percentile_difference(
                name,
                ratio,
                a.times[signal],
                b.times[signal],
                margin=multiple * margins.latency,
                signal=signal,
            )
            for signal in (Signal.LATENCY, *signals)
            for name, ratio, multiple in PERCENTILES
        ),
    ]
