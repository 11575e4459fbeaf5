"""Comparison of histograms."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from probe.compare.comparison import Comparison, Margins
from probe.compare.difference import Verdict
from probe.compare.histograms import (
    Counts,
    RecordedHistogram,
    RecordedSide,
    compare_histograms,
    slow_share_margin,
)
from probe.compare.output import render_json, render_text
from probe.result import Signal

MARGINS = Margins(latency=0.05, bad_share=0.01)
BOUNDS = (0.05, 0.1, 0.15, 0.2, 0.5)
PARTS = 20


def side(
    name: str,
    *,
    factor: float = 1.0,
    requests: int = 8640,
    failures: int = 0,
    bounds: Sequence[float] = BOUNDS,
    slow_parts: int = 0,
) -> RecordedSide:
    """Return requests with a log-normal latency; in `slow_parts` they are twice as slow."""
    rng = random.Random(name)
    parts = []
    for number in range(PARTS):
        slow = 2 if number < slow_parts else 1
        latencies = [
            slow * factor * rng.lognormvariate(math.log(0.1), 0.3) for _ in range(requests // PARTS)
        ]
        buckets = {
            bound: sum(latency <= bound for latency in latencies) for bound in (*bounds, math.inf)
        }
        parts.append(Counts(buckets=buckets, failures=failures // PARTS))
    return recorded(name, parts)


def recorded(name: str, parts: Sequence[Counts]) -> RecordedSide:
    return RecordedSide(
        name=name, histograms={Signal.LATENCY: RecordedHistogram(parts)}, thresholds={}
    )


def compare(a: RecordedSide, b: RecordedSide, threshold: float | None = 0.2) -> Comparison:
    thresholds = {Signal.LATENCY: {threshold} if threshold else set()}
    a, b = (replace(side, thresholds=thresholds) for side in (a, b))
    return compare_histograms(a, b, margins=MARGINS)


def test_equal_sides() -> None:
    """A day of requests shows that there is no difference, at the bounds next to percentiles."""
    comparison = compare(side("a"), side("b"))
    assert comparison.verdict is Verdict.NO_DIFFERENCE
    names = [finding.difference.name for finding in comparison.findings]
    assert names == ["bad", "> 100ms", "> 150ms", "> 200ms", "> 500ms"]
    assert comparison.a.requests == 8640


@pytest.mark.parametrize(("factor", "verdict"), [(1.1, Verdict.WORSE), (0.9, Verdict.BETTER)])
def test_shift(factor: float, verdict: Verdict) -> None:
    """A shift of 10 % moves the share at the bound next to the median by 12 percentage points."""
    comparison = compare(side("a"), side("b", factor=factor))
    assert comparison.verdict is verdict
    slow = comparison.findings[1].difference
    assert slow.threshold_seconds == 0.1
    assert slow.value == pytest.approx(0.12 if factor > 1 else -0.13, abs=0.03)


def test_failures() -> None:
    comparison = compare(side("a"), side("b", failures=300))
    assert comparison.verdict is Verdict.WORSE
    assert comparison.b.bad == 300 + comparison.findings[3].difference.b * 8640  # type: ignore[operator]  # known
    assert comparison.findings[0].verdict is Verdict.WORSE


def test_failures_of_one_outage() -> None:
    """As many failures in one part of the day are not enough to say that B is worse."""
    a, b = side("a"), side("b")
    parts = [
        replace(part, failures=300 if number == 7 else 0)
        for number, part in enumerate(b.latency.parts)
    ]
    bad = compare(a, recorded("b", parts), threshold=None).findings[0]
    assert bad.difference.value == pytest.approx(0.0335, abs=0.001)
    assert bad.verdict is Verdict.NOT_ENOUGH_DATA


def test_few_requests() -> None:
    comparison = compare(side("a", requests=200), side("b", requests=200))
    assert comparison.verdict is Verdict.NOT_ENOUGH_DATA


def test_slow_hours_of_one_side() -> None:
    """Requests that are slow together are less evidence than as many that are not."""
    steady, slow = side("a"), side("b", slow_parts=5)
    together = compare(steady, slow).findings[1]
    spread = compare(
        steady,
        recorded(
            "b",
            [
                Counts(
                    buckets={
                        bound: sum(part.buckets[bound] for part in slow.latency.parts) // PARTS
                        for bound in slow.latency.parts[0].buckets
                    },
                    failures=0,
                )
            ]
            * PARTS,
        ),
    ).findings[1]
    assert spread.p_value < 1e-3
    assert together.p_value > 10 * spread.p_value


def test_other_buckets() -> None:
    """Only common bounds are compared. Without the bucket of the objective, failures are bad."""
    a, other = side("a"), side("b", bounds=(0.1, 0.3, 0.5))
    comparison = compare(a, other)
    thresholds = [finding.difference.threshold_seconds for finding in comparison.findings]
    assert thresholds == [None, 0.1, 0.5]
    (note,) = comparison.notes
    assert note.startswith("Slow requests do not count as bad: the histograms of A and B do not")
    assert note.endswith("have a bucket of 200ms, the objective of A, all the time.")
    assert comparison.a.bad == comparison.b.bad == 0
    text = render_text(comparison)
    assert "\nbad: failed\n" in text
    assert "\nbad: failed or slower than 500ms\n" in render_text(compare(a, other, threshold=0.5))


def test_no_common_bucket() -> None:
    """Without a latency to compare, equal shares of failures are not enough."""
    a = side("a")
    comparison = compare(a, side("b", bounds=(0.3,)), threshold=None)
    assert [finding.difference.name for finding in comparison.findings] == ["bad", "latency"]
    assert comparison.verdict is Verdict.NOT_ENOUGH_DATA
    assert "no common bucket of successes" in render_text(comparison)
    only_failures = recorded("b", [Counts(buckets={}, failures=10)] * PARTS)
    assert compare(a, only_failures).verdict is Verdict.WORSE


def test_a_side_without_successes() -> None:
    """Slow successes of the other side are bad, and the text says why no latency is compared."""
    down = recorded("down", [Counts(buckets={}, failures=10)] * PARTS)
    slow = side("slow")
    comparison = compare(down, slow, threshold=0.2)
    assert comparison.notes == ("down has no successes, so its latency is unknown.",)
    assert comparison.b.bad == slow.latency.slower(0.2).count > 0
    text = render_text(comparison)
    assert "no common bucket" not in text
    assert "A unknown" in text


def test_longer_tail() -> None:
    """A few requests that are slower than all of A are seen, also far above the percentiles."""
    bounds = (0.25, 0.5, 1.0, 10.0)
    a, b = side("a", bounds=bounds), side("b", bounds=bounds)
    tail = [
        Counts(
            buckets={
                bound: part.buckets[bound] - (8 if bound < 10 else 0) for bound in part.buckets
            },
            failures=0,
        )
        for part in b.latency.parts
    ]
    assert compare(a, b).verdict is Verdict.NO_DIFFERENCE
    assert compare(a, recorded("b", tail)).verdict is Verdict.WORSE


def test_resolution() -> None:
    """The output says between which bounds each percentile is."""
    comparison = compare(side("a"), side("b", factor=3))
    p50, p95, p99 = comparison.percentile_bounds
    assert (p50.a, p50.b) == ((0.05, 0.1), (0.2, 0.5)) or (p50.a, p50.b) == (
        (0.1, 0.15),
        (0.2, 0.5),
    )
    assert p95.a == (0.15, 0.2)
    assert p99.b == (0.5, math.inf)
    assert "p95 by the buckets of the histogram: A 150ms to 200ms, B " in render_text(comparison)
    assert "B more than 500ms." in render_text(comparison)
    assert render_json(comparison)["resolution"][2]["b"] == [0.5, None]


@pytest.mark.parametrize(
    ("share", "margin"), [(0.5, 0.05), (0.05, 0.0218), (0.01, 0.00995), (0.0, 0.00995)]
)
def test_margin_of_slow_shares(share: float, margin: float) -> None:
    assert slow_share_margin(share, MARGINS) == pytest.approx(margin, rel=0.01)


def test_objectives_of_two_periods() -> None:
    """If they differ, the text says so, and both sides are compared by the bound of A."""
    a = replace(side("a"), thresholds={Signal.LATENCY: {0.2}})
    b = replace(
        side("b"), thresholds={Signal.LATENCY: {0.15, 0.5}, Signal.TIME_TO_FIRST_TOKEN: {0.1}}
    )
    comparison = compare_histograms(a, b, margins=MARGINS)
    assert comparison.notes == (
        "The objectives of the latency differ: 200ms (A), 150ms, 500ms (B).",
        "The objectives of the time to first token differ: none (A), 100ms (B).",
    )
    assert comparison.b.bad == b.latency.slower(0.2).count > 0


def test_streams() -> None:
    """The signals of streams are compared if both sides have them, and all tests are corrected."""
    a, b = side("a"), side("b")
    slow = side("slow", factor=1.5).latency
    first, token = Signal.TIME_TO_FIRST_TOKEN, Signal.TIME_PER_OUTPUT_TOKEN
    a = replace(a, histograms={**a.histograms, first: a.latency, token: a.latency})
    b = replace(b, histograms={**b.histograms, first: slow})
    comparison = compare_histograms(a, b, margins=MARGINS)
    assert comparison.notes == ("b has no time per output token, so it is not compared.",)
    text = render_text(comparison)
    assert "TTFT > 100ms  " in text
    assert "TTFT > 100ms is worse: +" in text
    assert "TTFT p95 by the buckets of the histogram: A 150ms to 200ms, B 200ms to 500ms." in text
    worse = [item for item in comparison.findings if item.verdict is Verdict.WORSE]
    assert {item.difference.signal for item in worse} == {first}
    assert len(comparison.findings) == 9
    document = render_json(comparison)
    assert [item["signal"] for item in document["differences"]] == [
        None,
        *["latency"] * 4,
        *["time_to_first_token"] * 4,
    ]
