"""Coins that are tossed by the group, against the binomial distribution."""

from itertools import pairwise
from random import Random

import pytest

from probe.slo.binomial import binomial_sf
from probe.slo.sampling import FEW, sample_failures

GROUPS = 20_000


class Counted(Random):
    """Knows how often it was asked."""

    asked = 0

    def random(self) -> float:
        self.asked += 1
        return super().random()


@pytest.mark.parametrize(
    ("size", "share"), [(1, 0.05), (3, 0.05), (3, 0.5), (30, 0.009), (30, 0.05), (3000, 0.01)]
)
def test_distribution(size: int, share: float) -> None:
    """Each number of bad ones is as frequent as it should be, whichever way they are tossed."""
    bad = sample_failures(range(0, (GROUPS + 1) * size, size), share, Random(1))
    groups = [after - before for before, after in pairwise(bad)]
    assert len(groups) == GROUPS
    for count in range(1, size + 1):
        expected = GROUPS * binomial_sf(size, count, share)
        seen = sum(group >= count for group in groups)
        assert abs(seen - expected) <= 4 * expected**0.5 + 1


@pytest.mark.parametrize("share", [0.05, 0.6])
def test_groups_may_be_empty(share: float) -> None:
    """A slow probe has none in most groups, and then none is bad."""
    probes = [look // 20 for look in range(GROUPS)]
    bad = sample_failures(probes, share, Random(2))
    for (before, after), (some, more) in zip(pairwise(bad), pairwise(probes), strict=True):
        assert after - before <= more - some
    assert bad[-1] == pytest.approx(share * probes[-1], rel=0.2)


def test_certainties() -> None:
    """All bad, or none."""
    assert sample_failures([3, 5, 9], 1, Random(3)) == [0, 2, 6]
    assert sample_failures([3, 5, 9], 0, Random(3)) == [0, 0, 0]


@pytest.mark.parametrize("size", [1, 100, 3000])
@pytest.mark.parametrize("share", [0.0001, 0.01, 0.5])
def test_one_toss_a_group(size: int, share: float) -> None:
    """However many probes a group has: one toss for it, or for each of the few that are bad."""
    random = Counted(4)
    sample_failures(range(0, (GROUPS + 1) * size, size), share, random)
    few = share * size < FEW
    assert random.asked <= (2 * GROUPS * share * size + 10 if few else GROUPS)
