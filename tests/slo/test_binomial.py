"""Counts in a moving window, against coins that are really tossed."""

from itertools import pairwise
from math import inf
from random import Random
from statistics import median

import pytest

from probe.slo.binomial import binomial_sf, excursions, median_first_passage, upcrossing_rate

CASES = ((10, 3, 0.1), (60, 6, 0.05), (30, 20, 0.5))


def counts(probes: int, share: float, tosses: int, seed: int) -> list[int]:
    """How many of the last `probes` tosses were bad, at each toss once the window is full."""
    random = Random(seed)
    bad = [random.random() < share for _ in range(tosses)]
    count, result = sum(bad[:probes]), []
    for new, old in zip(bad[probes:], bad, strict=False):
        count += new - old
        result.append(count)
    return result


@pytest.mark.parametrize(("probes", "count", "share"), CASES)
def test_crossings(probes: int, count: int, share: float) -> None:
    """The count is reached from below as often as the formula says."""
    played = counts(probes, share, 200_000, seed=1)
    seen = sum(a < count <= b for a, b in pairwise(played))
    assert upcrossing_rate(probes, count, share) * len(played) == pytest.approx(seen, rel=0.15)


@pytest.mark.parametrize(("probes", "count", "share"), CASES)
def test_reached(probes: int, count: int, share: float) -> None:
    """The count stands as much of the time as the binomial distribution says."""
    played = counts(probes, share, 200_000, seed=2)
    seen = sum(it >= count for it in played) / len(played)
    assert binomial_sf(probes, count, share) == pytest.approx(seen, rel=0.15)


@pytest.mark.parametrize(("probes", "count", "share"), [(10, 4, 0.1), (60, 9, 0.05)])
def test_excursions(probes: int, count: int, share: float) -> None:
    """Crossings a window apart or less are one excursion; looks that are apart miss some."""
    played = counts(probes, share, 400_000, seed=3)
    ups = [i for i, (a, b) in enumerate(pairwise(played)) if a < count <= b]
    separate = 1 + sum(b - a > probes for a, b in pairwise(ups))
    expected = excursions(probes, count, share, 1) * len(played)
    assert separate / 2 <= expected <= separate * 2
    assert excursions(probes, count, share, 30) < excursions(probes, count, share, 1)


@pytest.mark.parametrize(
    ("probes", "count", "share"), [(57, 8, 0.5), (10, 5, 0.5), (60, 8, 0.1), (20, 6, 0.15)]
)
def test_first(probes: int, count: int, share: float) -> None:
    """The median wait for the count, after good probes only, is what the formula says."""
    random = Random(4)

    def wait() -> int:
        window = [False] * (probes - 1) + [True]
        probe = 0
        while sum(window) < count:
            window = [*window[1:], random.random() < share]
            probe += 1
        return probe

    assert median_first_passage(probes, count, share) == pytest.approx(
        median(wait() for _ in range(401)), rel=0.25, abs=1
    )


def test_never() -> None:
    """What is never bad is never found."""
    assert median_first_passage(10, 3, 0.0) == inf
    assert upcrossing_rate(10, 3, 0.0) == 0
