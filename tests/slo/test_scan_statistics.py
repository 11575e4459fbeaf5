"""Scan statistics, against simulated probes."""

from itertools import pairwise
from math import inf
from random import Random
from statistics import median

import pytest

from probe.slo.scan_statistics import excursions, median_first_passage, upcrossing_rate
from probe.statistics.binomial import binomial_sf

CASES = ((10, 3, 0.1), (60, 6, 0.05), (30, 20, 0.5))


def counts(probes: int, bad_ratio: float, total: int, seed: int) -> list[int]:
    """Return how many of the last `probes` were bad, after each probe once the window is full."""
    random = Random(seed)
    bad = [random.random() < bad_ratio for _ in range(total)]
    count, result = sum(bad[:probes]), []
    for new, old in zip(bad[probes:], bad, strict=False):
        count += new - old
        result.append(count)
    return result


@pytest.mark.parametrize(("probes", "count", "bad_ratio"), CASES)
def test_crossings(probes: int, count: int, bad_ratio: float) -> None:
    """The formula gives how often the count is reached from below."""
    simulated = counts(probes, bad_ratio, 200_000, seed=1)
    seen = sum(a < count <= b for a, b in pairwise(simulated))
    assert upcrossing_rate(probes, count, bad_ratio) * len(simulated) == pytest.approx(
        seen, rel=0.15
    )


@pytest.mark.parametrize(("probes", "count", "bad_ratio"), CASES)
def test_tail(probes: int, count: int, bad_ratio: float) -> None:
    """The window holds the count as often as the binomial distribution says."""
    simulated = counts(probes, bad_ratio, 200_000, seed=2)
    seen = sum(value >= count for value in simulated) / len(simulated)
    assert binomial_sf(probes, count, bad_ratio) == pytest.approx(seen, rel=0.15)


@pytest.mark.parametrize(("probes", "count", "bad_ratio"), [(10, 4, 0.1), (60, 9, 0.05)])
def test_excursions(probes: int, count: int, bad_ratio: float) -> None:
    """Crossings within a window are one excursion. Evaluations far apart miss some."""
    simulated = counts(probes, bad_ratio, 400_000, seed=3)
    ups = [i for i, (a, b) in enumerate(pairwise(simulated)) if a < count <= b]
    separate = 1 + sum(b - a > probes for a, b in pairwise(ups))
    expected = excursions(probes, count, bad_ratio, 1) * len(simulated)
    assert separate / 2 <= expected <= separate * 2
    assert excursions(probes, count, bad_ratio, 30) < excursions(probes, count, bad_ratio, 1)


@pytest.mark.parametrize(
    ("probes", "count", "bad_ratio"), [(57, 8, 0.5), (10, 5, 0.5), (60, 8, 0.1), (20, 6, 0.15)]
)
def test_first_passage(probes: int, count: int, bad_ratio: float) -> None:
    """The formula gives the median wait for the count, if all probes before were good."""
    random = Random(4)

    def wait() -> int:
        window = [False] * (probes - 1) + [True]
        probe = 0
        while sum(window) < count:
            window = [*window[1:], random.random() < bad_ratio]
            probe += 1
        return probe

    assert median_first_passage(probes, count, bad_ratio) == pytest.approx(
        median(wait() for _ in range(401)), rel=0.25, abs=1
    )


def test_never() -> None:
    """Without bad probes the count is never reached."""
    assert median_first_passage(10, 3, 0.0) == inf
    assert upcrossing_rate(10, 3, 0.0) == 0
