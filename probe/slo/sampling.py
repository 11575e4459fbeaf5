"""How many of so many independent probes are bad: coins, tossed by the group."""

from bisect import bisect
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from math import log, log1p
from random import Random

from probe.slo.binomial import binomial_pmf

FEW = 0.3
"""Bad ones in a group, up to which tossing for the gaps between them is the cheaper way."""


def sample_failures(probes: Sequence[int], share: float, random: Random) -> list[int]:
    """The bad ones so far at the end of each group, of probes of which `share` are bad on average.

    `probes` are all probes so far, before the first group and at the end of each.
    """
    if share >= 1:
        return [number - probes[0] for number in probes]
    expected = share * (probes[-1] - probes[0]) / len(probes)
    bad = (_by_gaps if expected < FEW else _by_group)(probes, share, random)
    return list(accumulate(bad, initial=0))


def _by_gaps(probes: Sequence[int], share: float, random: Random) -> list[int]:
    """The gaps between bad ones are geometric: one toss for each bad probe."""
    bad = [0] * (len(probes) - 1)
    good, probe = log1p(-share), probes[0] - 1
    while share > 0:
        probe += 1 + int(log(1 - random.random()) / good)
        if probe >= probes[-1]:
            break
        bad[bisect(probes, probe) - 1] += 1
    return bad


def _by_group(probes: Sequence[int], share: float, random: Random) -> list[int]:
    """Their number is binomial: one toss for each group, by inversion."""
    sizes = [end - start for start, end in pairwise(probes)]
    tables = {size: _table(size, share) for size in set(sizes)}
    toss = random.random
    return [bisect(tables[size], toss()) for size in sizes]


@lru_cache(maxsize=8)
def _table(size: int, share: float) -> tuple[float, ...]:
    """P(Bin(size, share) <= 0, 1, ... size - 1)."""
    return tuple(accumulate(binomial_pmf(bad, size, share) for bad in range(size)))
