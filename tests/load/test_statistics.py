"""Bounds of bad shares, and intervals of percentiles."""

import random

import pytest

from probe.load.measurement import BUCKET_RATIO, LatencyHistogram
from probe.load.statistics import bad_share_bounds, batch_bounds, has_growth, latency_quantile
from probe.statistics.intervals import exact_bounds


def test_growth() -> None:
    """Growth must be significant and large. Few values show none."""
    rng = random.Random(1)
    noise = [10 + rng.gauss(0, 2) for _ in range(200)]
    assert not has_growth(noise, 0.5)
    assert not has_growth([value + 0.01 * index for index, value in enumerate(noise)], 0.5)
    assert has_growth([value + 0.1 * index for index, value in enumerate(noise)], 0.5)
    assert not has_growth([value - 0.1 * index for index, value in enumerate(noise)], 0.5)
    assert not has_growth([1, 2, 3], 0.5)


def test_batches_of_equal_shares_have_no_spread() -> None:
    """Without differences between batches, both bounds are the share."""
    bounds = batch_bounds([(1, 10)] * 10)
    assert (bounds.lower, bounds.upper) == pytest.approx((0.1, 0.1))


def test_correlated_requests_have_wider_bounds() -> None:
    """Bad requests that come together say less than the same number of independent ones."""
    spread = [(1, 20)] * 100
    together = [(20, 20)] * 5 + [(0, 20)] * 95
    assert bad_share_bounds(spread) == exact_bounds(100, 2000)
    assert bad_share_bounds(together).upper > bad_share_bounds(spread).upper + 0.03


def test_small_batches_are_ignored() -> None:
    """With few requests in a batch the bounds are those of independent requests."""
    assert bad_share_bounds([(0, 2), (2, 2)] * 10) == exact_bounds(20, 40)


def test_bounds_hold_for_independent_requests() -> None:
    """The upper bound is below the true share in at most about 5 % of the samples."""
    rng = random.Random(1)
    too_low = 0
    for _ in range(400):
        seconds = [(sum(rng.random() < 0.05 for _ in range(10)), 10) for _ in range(60)]
        too_low += bad_share_bounds(seconds).upper < 0.05
    assert too_low <= 28  # the 95th percentile of Bin(400, 5 %) is 27


def histogram(requests: int) -> LatencyHistogram:
    """Return a histogram of the latencies 1, 2, ... seconds."""
    latencies = LatencyHistogram()
    for seconds in range(1, requests + 1):
        latencies.observe(seconds)
    return latencies


@pytest.mark.parametrize(("ratio", "requests"), [(0.95, 72), (0.99, 368)])
def test_quantile_needs_requests(ratio: float, requests: int) -> None:
    """A percentile without an upper bound is not reported."""
    assert latency_quantile(histogram(requests - 1), requests - 1, ratio) is None
    assert latency_quantile(histogram(requests), requests, ratio)


def test_quantile_interval() -> None:
    """The interval has the ranks of order statistics, up to the width of a bucket."""
    quantile = latency_quantile(histogram(500), 500, 0.95)
    assert quantile
    # stats.binom.ppf: the ranks 465 and 485 of 500.
    expected = (475, 465, 485)
    actual = (quantile.seconds, quantile.lower, quantile.upper)
    assert actual == pytest.approx(expected, rel=BUCKET_RATIO - 1)


def test_failures_are_slower_than_all_latencies() -> None:
    """With 6 % of failures, the 95th percentile is that of a failure."""
    quantile = latency_quantile(histogram(94), 100, 0.95)
    assert quantile
    assert quantile.seconds == float("inf")
