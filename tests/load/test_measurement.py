"""Counts and histograms of a load test."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.load.measurement import BUCKET_RATIO, Counts, LatencyHistogram, total
from probe.result import Component, Phase, Reason

LATENCIES = st.lists(st.floats(1e-5, 3600), max_size=50)


def histogram(latencies: list[float]) -> LatencyHistogram:
    result = LatencyHistogram()
    for seconds in latencies:
        result.observe(seconds)
    return result


@given(LATENCIES, LATENCIES)
def test_sum_of_histograms_is_exact(left: list[float], right: list[float]) -> None:
    """Every quantile of a sum is that of all durations in one histogram."""
    added, together = histogram(left), histogram(left + right)
    added.add(histogram(right))
    ranks = range(1, len(left + right) + 2)
    assert [added.at_rank(rank) for rank in ranks] == [together.at_rank(rank) for rank in ranks]


@given(st.floats(1e-6, 1e5))
def test_quantile_is_never_too_low(seconds: float) -> None:
    """A quantile is the upper bound of a bucket, at most 1 % above the duration."""
    upper = histogram([seconds]).at_rank(1)
    assert seconds * (1 - 1e-6) <= upper <= seconds * BUCKET_RATIO * (1 + 1e-6)


def test_total() -> None:
    """All counts are added, and the first sum may be empty."""
    counts = Counts(
        offered=3,
        dropped=1,
        completed=2,
        failures=Counter({Reason.RESET: 1}),
        events=(3, 2),
        bad=(2, 1),
        latencies=histogram([0.1]),
        latency_seconds=0.3,
        phases={Phase.WAIT: 0.1},
        components={Component.QUEUE: 0.05},
        tokens=7,
        in_flight_seconds=0.4,
        lags=histogram([0.001, 0.002]),
    )
    doubled = total([counts, counts])
    assert (doubled.offered, doubled.dropped, doubled.completed) == (6, 2, 4)
    assert doubled.failures == {Reason.RESET: 2}
    assert (doubled.events, doubled.bad) == ((6, 4), (4, 2))
    assert (doubled.latencies.count, doubled.lags.count) == (2, 4)
    assert doubled.phases == {Phase.WAIT: pytest.approx(0.2)}
    assert doubled.components == {Component.QUEUE: pytest.approx(0.1)}
    assert doubled.tokens == 14
    assert (doubled.latency_seconds, doubled.in_flight_seconds) == pytest.approx((0.6, 0.8))
