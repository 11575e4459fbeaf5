"""Differences of percentiles."""

import math
import random

import pytest

from probe.compare.percentiles import PercentileConfidence, percentile_difference
from probe.load.measurement import BUCKET_RATIO, LatencyHistogram
from probe.load.statistics import latency_quantile

SIGMA = 0.3


def latencies(rng: random.Random, count: int, factor: float = 1.0) -> list[float]:
    """Return latencies with a log-normal distribution."""
    return [factor * rng.lognormvariate(math.log(0.1), SIGMA) for _ in range(count)]


@pytest.mark.parametrize("ratio", [0.5, 0.95, 0.99])
def test_interval_of_one_side(ratio: float) -> None:
    """The confidence is that of the interval of order statistics in load tests."""
    sample = sorted(latencies(random.Random(1), 2000))
    histogram = LatencyHistogram()
    for seconds in sample:
        histogram.observe(seconds)
    quantile = latency_quantile(histogram, len(sample), ratio)
    assert quantile
    confidence = PercentileConfidence.of(sample, ratio)
    assert confidence.below(quantile.upper * BUCKET_RATIO**2) >= 0.97
    assert confidence.below(quantile.upper / BUCKET_RATIO**2) <= 0.975
    assert confidence.below(quantile.lower / BUCKET_RATIO**2) <= 0.03


@pytest.mark.parametrize(("ratio", "count"), [(0.5, 50), (0.5, 500), (0.95, 500), (0.99, 1000)])
def test_coverage(ratio: float, count: int) -> None:
    """The interval has the true difference in at least about 95 % of all cases."""
    rng = random.Random(count)
    covered = 0
    for _ in range(200):
        difference = percentile_difference(
            "p", ratio, latencies(rng, count), latencies(rng, count, 1.2), margin=0.05
        )
        covered += difference.lower <= 0.2 <= difference.upper
    assert covered >= 182  # 98 % of all runs of this test, if exactly 95 % are covered


def test_values() -> None:
    """Exact copies that are scaled have exactly the difference of their scale."""
    sample = latencies(random.Random(1), 1000)
    slower = [1.5 * seconds for seconds in sample]
    difference = percentile_difference("p50", 0.5, sample, slower, margin=0.05)
    assert difference.a == sorted(sample)[499]
    assert difference.value == pytest.approx(0.5)
    assert 0.4 < difference.lower < 0.5 < difference.upper < 0.6
    assert difference.p_value < 1e-9
    reverse = percentile_difference("p50", 0.5, slower, sample, margin=0.05)
    assert reverse.value == pytest.approx(-1 / 3)
    assert reverse.p_value < 1e-9
    # The ends of both intervals are each other's reciprocals.
    assert 1 + reverse.lower == pytest.approx(1 / (1 + difference.upper), rel=1e-3)


def test_margin() -> None:
    """The test is about a difference that is larger than the margin, not about any difference."""
    rng = random.Random(1)
    a = latencies(rng, 5000)
    for factor in (1.1, 0.9):
        b = latencies(rng, 5000, factor)
        for margin, is_different in ((0.05, True), (0.2, False)):
            difference = percentile_difference("p50", 0.5, a, b, margin=margin)
            assert (difference.p_value < 0.01) is is_different


def test_too_few_requests() -> None:
    """The p99 of 200 requests has no upper bound, so its difference has no ends."""
    rng = random.Random(1)
    a, b = latencies(rng, 200), latencies(rng, 200)
    p99 = percentile_difference("p99", 0.99, a, b, margin=0.2)
    assert (p99.lower, p99.upper) == (-math.inf, math.inf)
    assert p99.p_value == 1.0
    p95 = percentile_difference("p95", 0.95, a, b, margin=0.1)
    assert -0.5 < p95.lower < 0 < p95.upper < 0.5


@pytest.mark.parametrize(("count_a", "count_b"), [(0, 0), (0, 100), (100, 0), (1, 1)])
def test_hardly_any_successes(count_a: int, count_b: int) -> None:
    rng = random.Random(1)
    a, b = latencies(rng, count_a), latencies(rng, count_b)
    difference = percentile_difference("p50", 0.5, a, b, margin=0.05)
    assert (difference.a is None, difference.b is None) == (not a, not b)
    assert (difference.lower, difference.upper) == (-math.inf, math.inf)
    assert difference.p_value == 1.0


def test_equal_latencies() -> None:
    """A latency without any variance is equal, and any other one is different."""
    a = [0.1] * 500
    same = percentile_difference("p50", 0.5, a, a, margin=0.05)
    assert (same.lower, same.upper) == pytest.approx((0, 0), abs=1e-3)
    worse = percentile_difference("p50", 0.5, a, [0.11] * 500, margin=0.05)
    assert worse.p_value < 1e-9
    assert worse.lower == pytest.approx(0.1, abs=1e-3)


def test_slow_period_of_one_side() -> None:
    """Its requests come together, so the interval of p95 is wider than for the same latencies."""
    rng = random.Random(1)
    a, b = latencies(rng, 2000), latencies(rng, 2000)
    slow = [3 * seconds if 400 <= number < 600 else seconds for number, seconds in enumerate(b)]
    together = percentile_difference("p95", 0.95, a, slow, margin=0.1)
    spread = percentile_difference("p95", 0.95, a, rng.sample(slow, len(slow)), margin=0.1)
    assert spread.p_value < 1e-6
    assert together.value == spread.value
    assert together.p_value > 0.01
    assert together.lower < spread.lower


def test_slow_period_of_both_sides() -> None:
    """What is slow on both sides at the same time is no difference, and widens hardly anything."""
    rng = random.Random(1)
    a, b = (
        [3 * seconds if 400 <= number < 600 else seconds for number, seconds in enumerate(side)]
        for side in (latencies(rng, 2000), latencies(rng, 2000))
    )
    together = percentile_difference("p95", 0.95, a, b, margin=0.1)
    only_b = percentile_difference("p95", 0.95, latencies(rng, 2000), b, margin=0.1)
    assert together.upper - together.lower < (only_b.upper - only_b.lower) / 2
