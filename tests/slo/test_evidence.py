"""Evidence, counts and bounds, against independent calculations."""

from itertools import product
from math import comb, inf, log10

import pytest

from bench.lorden import lorden_bound
from probe.slo.evidence import (
    divergence,
    evidence,
    longest_interval,
    min_bad_probes,
    probes_in,
)

BUDGETS = (0.05, 0.01, 0.001)
COUNTS = [(n, k) for n in (5, 20, 60, 300) for k in range(1, n + 1, max(1, n // 12))]


def tail(probes: int, count: int, bad_ratio: float) -> float:
    """Return P(Bin(probes, bad_ratio) >= count), added up."""
    rest = 1 - bad_ratio
    return sum(
        comb(probes, k) * bad_ratio**k * rest ** (probes - k) for k in range(count, probes + 1)
    )


@pytest.mark.parametrize("budget", BUDGETS)
def test_evidence_is_never_more_than_chance_allows(budget: float) -> None:
    """Chernoff's bound: this evidence is at least as unlikely as its power of ten."""
    for probes, count in COUNTS:
        chance = tail(probes, count, budget)
        if count > budget * probes and chance > 0:  # and not too small for a float
            assert log10(chance) <= -evidence(count, probes, budget) + 1e-9


def test_no_evidence_within_the_budget() -> None:
    """A model within its budget has no evidence against it."""
    assert evidence(1, 100, 0.01) == 0
    assert evidence(0, 100, 0.01) == 0


def test_evidence_of_a_total_outage() -> None:
    """If all probes are bad, each adds log10(1 / budget)."""
    assert evidence(3, 3, 0.01) == pytest.approx(6)


@pytest.mark.parametrize(("budget", "interval"), list(product(BUDGETS, (1, 10, 60))))
def test_the_count_is_the_fewest(budget: float, interval: float) -> None:
    """The count is enough evidence, and one less is not."""
    window, level = 3600, 6
    count = min_bad_probes(window, interval, budget, level)
    assert count is not None
    probes, stretch = probes_in(window, interval), window / (window - 30)
    assert stretch * evidence(count, probes, budget) > level
    assert stretch * evidence(count - 1, probes, budget) <= level


def test_a_window_can_be_too_small() -> None:
    """With 5 minutes between probes, 10 minutes cannot show evidence of 6 against 1 %."""
    assert min_bad_probes(600, 300, 0.01, 6) is None


@pytest.mark.parametrize(("budget", "bad_ratio"), list(product(BUDGETS, (0.2, 0.5, 1))))
def test_the_longest_interval_is_just_enough(budget: float, bad_ratio: float) -> None:
    """At the longest interval the window holds the evidence; at twice the interval it does not."""
    interval = longest_interval(600, bad_ratio, budget, 6)
    probes = (600 - 30) / interval
    assert evidence(bad_ratio * probes, probes, budget) == pytest.approx(6)
    assert evidence(bad_ratio * probes / 2, probes / 2, budget) < 6


def test_lorden_bound() -> None:
    """Lorden's bound, calculated by hand: 10 s x ln(259,200 / 0.1) / KL(0.5 || 0.01)."""
    assert divergence(0.5, 0.01) == pytest.approx(1.6145, abs=1e-4)
    assert lorden_bound(0.5, 0.01, 10) == pytest.approx(10 * 14.768 / 1.6145, rel=1e-3)
    assert lorden_bound(0.01, 0.01, 10) == inf
