"""The benchmark of comparisons, and with fewer pairs its bounds."""

from collections import Counter

import pytest

from bench.compare import PRODUCT, Verdicts, compare_pair, evaluate, table
from bench.compare_pairs import (
    CASES,
    METHODS,
    Case,
    SlowPeriods,
    compare_p95,
    compare_p95_and_failures,
    make_pair,
)
from probe.compare.difference import Verdict
from probe.compare.side_results import SideResults
from probe.result import Signal

PAIRS = 30


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}, {case.requests}")
def test_verdicts(case: Case) -> None:
    """Few pairs meet bounds that are twice as large. The benchmark has 1,000 pairs."""
    verdicts = [compare_pair(case, seed) for seed in range(PAIRS)]
    for index, method in enumerate(METHODS):
        counts = Counter(found[index] for found in verdicts)
        for bound in evaluate(Verdicts(case=case, method=method, counts=counts)):
            assert bound.value <= 2 * bound.bound, (bound, counts)


def test_naive_comparison() -> None:
    """Two numbers are never equal, so half of the equal versions are worse."""
    counts = Counter(compare_p95(*make_pair(CASES[0], seed)) for seed in range(100))
    assert 30 <= counts[Verdict.WORSE] <= 70


def test_comparison_with_a_threshold() -> None:
    """B is worse with 5 % more p95, or one percentage point more failures."""
    a, slower, fails = (
        SideResults(
            name="a",
            thresholds={},
            requests=100,
            times={Signal.LATENCY: [latency] * 100},
            bad_by_reason=Counter(slow=slow),
        )
        for latency, slow in ((0.1, 0), (0.106, 0), (0.1, 2))
    )
    assert compare_p95_and_failures(a, slower) is Verdict.WORSE
    assert compare_p95_and_failures(a, fails) is Verdict.WORSE
    assert compare_p95_and_failures(a, a) is Verdict.NO_DIFFERENCE


def test_slow_periods() -> None:
    """A tenth of the requests is in slow periods, which both sides share or not."""
    for periods in SlowPeriods:
        case = Case(name="test", requests=20_000, slow_periods=periods)
        a, b = make_pair(case, 1)
        slow = [[latency > 0.3 for latency in side.times[Signal.LATENCY]] for side in (a, b)]
        together = sum(x and y for x, y in zip(*slow, strict=True))
        if periods is SlowPeriods.NONE:
            assert sum(slow[0]) < 100
        else:
            assert 300 < sum(slow[0]) < 1000
            assert (together > 50) is (periods is SlowPeriods.SHARED)


def test_table() -> None:
    counts = {Verdict.WORSE: 1, Verdict.NOT_ENOUGH_DATA: 3}
    rows = table([Verdicts(case=CASES[0], method=PRODUCT, counts=counts)]).splitlines()
    assert "| 25.0 " in rows[2]
    assert "75.0" in rows[2]
