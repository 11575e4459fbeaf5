"""Months of a model that is steadily so good, played, to see the tickets that it causes.

A ticket fires when a condition has held for a while, some in two windows at once: there is no
closed form for how often. The probes are independent coin tosses, and the seed is fixed, so that
the same config always gets the same answer. Time is counted in evaluations.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from math import inf, log, log1p
from random import Random
from statistics import median

from probe.slo.alerts import EVALUATION, HOUR, LONG_EVALUATION, PERIOD, PROMISE, TICKETS, Burn

ENOUGH = 100
"""Tickets after which their rate is known well enough: to a tenth."""

MONTHS = 24
"""Played at most, for rates that are too low to matter."""

OUTAGES = 25
"""Played for a median."""

LONGEST = 6 * HOUR // EVALUATION
"""That an outage is played; what takes longer is for the windows of days."""

MONTH = PERIOD // EVALUATION
WARM_UP = max(burn.long for burn in TICKETS) // EVALUATION
LONG_LOOK = LONG_EVALUATION // EVALUATION
HALF_HOUR = HOUR // 2 // EVALUATION
"""Of which the rules add up the windows of days."""


@cache
def tickets(interval: float, budget: float, share: float) -> float:
    """Expected tickets in 30 days about an objective with `budget`, of a model that is bad at
    `share` of the probes, one each `interval` seconds.
    """
    random = Random(f"{interval} {budget} {share}")
    count = months = 0
    while months < MONTHS and count < ENOUGH:
        history = History(_bad(share, random), interval, WARM_UP, WARM_UP + MONTH)
        count += _lasting(history.broken(budget), 1, PROMISE.hold)
        count += sum(_lasting(history.burning(it, budget), LONG_LOOK, it.hold) for it in TICKETS)
        months += 1
    return count / months


@cache
def promise_broken(interval: float, budget: float, share: float) -> float:
    """Median seconds from the first bad probe to HighModelLatency, where all was well before;
    infinite where more often than not `LONGEST` is not enough.
    """
    random = Random(f"{interval} {budget} {share}")
    before = HOUR // EVALUATION

    def found() -> float:
        first = int(HOUR / interval)
        bad = (first + probe for probe in _bad(share, random, first=0))
        history = History(bad, interval, before, before + LONGEST)
        for start, length in _runs(history.broken(budget), 1):
            if length * EVALUATION > PROMISE.hold:
                return float((start - before) * EVALUATION + PROMISE.hold)
        return inf

    return median(found() for _ in range(OUTAGES))


class History:
    """Which probes were bad, as the counters tell, and when alerts about them would be pending."""

    def __init__(self, bad: Iterable[int], interval: float, start: int, end: int) -> None:
        """`bad` are numbers of probes, in order; it is looked at from `start` until `end`."""
        self._per_look = EVALUATION / interval
        self._start, self._end = start, end
        self._bad: list[int] = []
        for probe in bad:
            look = int(probe / self._per_look) + 1
            if look > end:
                break
            self._bad.append(look)

    def broken(self, budget: float) -> Iterator[int]:
        """The looks of HighModelLatency that find its window bad: all of them near a bad probe."""
        width = PROMISE.window // EVALUATION - 1
        look = self._start
        for bad in self._bad:
            while (look := max(look, bad)) < min(bad + width, self._end):
                if self._exceeds(look, width, budget):
                    yield look
                look += 1

    def burning(self, burn: Burn, budget: float) -> Iterator[int]:
        """The looks of a ticket of ModelErrorBudgetBurn that find both windows bad."""
        share, width = burn.factor * budget, burn.short // EVALUATION - 1
        for full in range(self._start, self._end, HALF_HOUR):
            if self._exceeds(full, burn.long // EVALUATION, share):
                looks = range(full, full + HALF_HOUR, LONG_LOOK)
                yield from (look for look in looks if self._exceeds(look, width, share))

    def _exceeds(self, look: int, width: int, share: float) -> bool:
        """Whether more than `share` of the probes of the last `width` evaluations are bad."""
        then = look - width
        bad = bisect_right(self._bad, look) - bisect_right(self._bad, then)
        probes = int(look * self._per_look) - int(then * self._per_look)
        return bad > share * probes + 1e-9


def _lasting(looks: Iterable[int], step: int, hold: int) -> int:
    """Alerts: conditions that last longer than `hold` seconds."""
    return sum(length * step * EVALUATION > hold for _, length in _runs(looks, step))


def _runs(looks: Iterable[int], step: int) -> Iterator[tuple[int, int]]:
    """First look and number of looks, of those without a gap between them."""
    for _, run in groupby(enumerate(looks), key=lambda it: it[1] - it[0] * step):
        held = [look for _, look in run]
        yield held[0], len(held)


def _bad(share: float, random: Random, *, first: int | None = None) -> Iterator[int]:
    """The bad ones among endless probes: the gaps between them are geometric."""
    probe = -1
    if first is not None:
        probe = first
        yield first
    while share > 0:
        probe += 1 + (int(log(1 - random.random()) / log1p(-share)) if share < 1 else 0)
        yield probe
