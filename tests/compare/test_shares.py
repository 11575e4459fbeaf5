"""Fisher's exact test, and the interval of the difference of two shares."""

import math
import random
from collections import Counter
from fractions import Fraction
from itertools import product

import pytest

from probe.compare.difference import Difference, Verdict, evaluate
from probe.compare.shares import (
    MAX_PARTS,
    bad_share_difference,
    effect_of_parts,
    fisher_p_value,
    newcombe_interval,
    slow_share_difference,
    split_shares,
)
from probe.result import Signal
from probe.statistics.design_effect import Share


def exact_p_value(a: Share, b: Share) -> float:
    """Return the p-value from whole numbers, without logarithms."""
    counted, requests = a.count + b.count, a.requests + b.requests

    def probability(count: int) -> Fraction:
        ways = math.comb(a.requests, count) * math.comb(b.requests, counted - count)
        return Fraction(ways, math.comb(requests, counted))

    counts = range(max(0, counted - b.requests), min(counted, a.requests) + 1)
    observed = probability(a.count)
    return float(sum(p for p in map(probability, counts) if p <= observed))


def test_all_small_tables() -> None:
    """The p-value equals the sum of the exact probabilities."""
    for requests_a, requests_b in ((1, 1), (5, 5), (7, 4), (12, 3)):
        for count_a, count_b in product(range(requests_a + 1), range(requests_b + 1)):
            a, b = Share(count_a, requests_a), Share(count_b, requests_b)
            assert fisher_p_value(a, b) == pytest.approx(exact_p_value(a, b), abs=1e-9), (a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Share(3, 10), Share(7, 9)),  # 0.0698 in the documentation of R
        (Share(0, 500), Share(8, 500)),
        (Share(12, 2000), Share(25, 2000)),
        (Share(500, 1000), Share(520, 990)),
    ],
)
def test_large_tables(a: Share, b: Share) -> None:
    assert fisher_p_value(a, b) == pytest.approx(exact_p_value(a, b), rel=1e-6)
    assert fisher_p_value(b, a) == pytest.approx(fisher_p_value(a, b), rel=1e-6)


def test_a_month_of_requests() -> None:
    """The p-value of large numbers is that of the normal approximation."""
    a, b = Share(2000, 260_000), Share(2200, 260_000)
    pooled = 4200 / 520_000
    deviation = (200 / 260_000) / math.sqrt(pooled * (1 - pooled) * 2 / 260_000)
    assert fisher_p_value(a, b) == pytest.approx(math.erfc(deviation / math.sqrt(2)), rel=0.1)


def test_published_intervals() -> None:
    """Examples of Newcombe (1998), table II: 56/70 - 48/80, and 9/10 - 3/10."""
    assert newcombe_interval(Share(48, 80), Share(56, 70)) == pytest.approx(
        (0.0524, 0.3339), abs=1e-4
    )
    assert newcombe_interval(Share(3, 10), Share(9, 10)) == pytest.approx(
        (0.1705, 0.8090), abs=1e-4
    )


def test_coverage() -> None:
    """The interval has the true difference in about 95 % of all cases."""
    rng = random.Random(1)
    covered = 0
    for _ in range(1000):
        a, b = (Share(sum(rng.random() < share for _ in range(400)), 400) for share in (0.02, 0.05))
        lower, upper = newcombe_interval(a, b)
        covered += lower <= 0.03 <= upper
    assert covered >= 930


def test_no_requests() -> None:
    """Without requests there is no difference, and no evidence."""
    difference = bad_share_difference([Share(0, 0)], [Share(3, 10)], margin=0.01)
    assert (difference.a, difference.value, difference.p_value) == (None, None, 1.0)
    assert (difference.lower, difference.upper) == (-math.inf, math.inf)


def parts(rng: random.Random, ratios: list[float], requests: int = 100) -> list[Share]:
    """Return a share for each of `ratios`, which are probabilities."""
    return [Share(sum(rng.random() < ratio for _ in range(requests)), requests) for ratio in ratios]


STEADY = [0.1] * MAX_PARTS
BURST = [0.1] * (MAX_PARTS - 2) + [0.8] * 2
NO_REQUESTS = [Share(0, 0)] * (MAX_PARTS // 2)


def test_effect() -> None:
    """It is about 1 for independent requests and for what both sides share, and else larger."""
    rng = random.Random(1)
    assert 1 <= effect_of_parts(parts(rng, STEADY), parts(rng, STEADY)) < 2
    assert 1 <= effect_of_parts(parts(rng, BURST), parts(rng, BURST)) < 2
    assert effect_of_parts(parts(rng, STEADY), parts(rng, BURST)) > 5


def test_effect_of_sides_at_different_times() -> None:
    """A version that replaces another one has no requests at the same time."""
    rng = random.Random(1)
    first = [*parts(rng, STEADY[: MAX_PARTS // 2]), *NO_REQUESTS]
    assert 1 <= effect_of_parts(first, [*NO_REQUESTS, *parts(rng, STEADY[: MAX_PARTS // 2])]) < 2
    assert effect_of_parts(first, [*NO_REQUESTS, *parts(rng, BURST[MAX_PARTS // 2 :])]) > 5


def test_effect_of_few_requests() -> None:
    rng = random.Random(1)
    assert effect_of_parts(parts(rng, STEADY, 4), parts(rng, BURST, 4)) == 1.0
    assert effect_of_parts(parts(rng, STEADY[:3]), parts(rng, BURST[-3:])) == 1.0
    assert effect_of_parts([Share(0, 100)] * MAX_PARTS, [Share(0, 100)] * MAX_PARTS) == 1.0


def day_with_outages(rng: random.Random, outages: float) -> list[Share]:
    """Return the bad shares of a day with about `outages` of 2 to 30 minutes, in 20 parts."""
    is_bad = [False] * 8640
    for _ in range(sum(rng.random() < outages / 50 for _ in range(50))):
        start, end = rng.randrange(8640), rng.randint(12, 180)
        is_bad[start : start + end] = [True] * len(is_bad[start : start + end])
    return split_shares(is_bad, MAX_PARTS)


@pytest.mark.parametrize("outages", [1, 3, 8, 20])
def test_equal_sides_with_outages(outages: float) -> None:
    """Failures come together, and one side has more of them by chance. It is not worse."""
    rng, counts = random.Random(outages), Counter[Verdict]()
    for _ in range(400):
        days = day_with_outages(rng, outages), day_with_outages(rng, outages)
        counts[evaluate([bad_share_difference(*days, margin=0.01)])[0].verdict] += 1
    assert counts[Verdict.WORSE] <= 0.065 * 400, counts
    assert counts[Verdict.BETTER] <= 0.065 * 400, counts


GOOD = Share(0, 400)


@pytest.mark.parametrize(
    ("b", "verdict"),
    [
        ([Share(200, 400), *[GOOD] * 19], Verdict.NOT_ENOUGH_DATA),
        ([Share(200, 400), *[GOOD] * 2], Verdict.NOT_ENOUGH_DATA),
        ([Share(200, 400), Share(90, 400), *[GOOD] * 18], Verdict.NOT_ENOUGH_DATA),
        ([Share(200, 400), Share(90, 400), GOOD], Verdict.NOT_ENOUGH_DATA),
        ([Share(12, 400)] * 20, Verdict.WORSE),
        ([Share(400, 400)], Verdict.WORSE),
        ([*[Share(400, 400)] * 2, *[Share(0, 0)] * 18], Verdict.WORSE),
    ],
)
def test_failures_in_few_parts(b: list[Share], verdict: Verdict) -> None:
    """One or two outages are no evidence, unless there is no part without failures."""
    difference = bad_share_difference([GOOD] * len(b), b, margin=0.01)
    assert evaluate([difference])[0].verdict is verdict


def slow_difference(a: Share, b: Share, *, effect: float = 1.0) -> Difference:
    return slow_share_difference(
        a, b, signal=Signal.LATENCY, threshold_seconds=0.1, margin=0.01, effect=effect
    )


def test_dependent_requests_count_less() -> None:
    """The difference is the same, and the interval twice as wide with a quarter of the requests."""
    a, b = Share(400, 4000), Share(520, 4000)
    independent, dependent = slow_difference(a, b), slow_difference(a, b, effect=4.0)
    assert dependent.value == independent.value
    assert dependent.p_value > 10 * independent.p_value
    widths = [item.upper - item.lower for item in (dependent, independent)]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("sign", [1, -1])
def test_margin_of_slow_shares(sign: int) -> None:
    """The p-value is 5 % if the end of the interval is the margin, in both directions."""
    a, b = Share(400, 4000), Share(400 + sign * 120, 4000)
    difference = slow_difference(a, b)
    end = difference.lower if sign > 0 else -difference.upper
    at_end = slow_share_difference(
        a, b, signal=Signal.LATENCY, threshold_seconds=0.1, margin=end, effect=1.0
    )
    assert at_end.p_value == pytest.approx(0.05, abs=1e-4)
    assert slow_difference(a, a).p_value == 1.0
