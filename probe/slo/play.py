"""The rules over models that are steadily so good, and over outages, played.

An alert fires when a condition has held for a while, some in two windows at once: there is no
closed form for how often. The probes are independent coin tosses, and the seed is fixed, so that
the same config always gets the same answer. Time is counted in evaluations,
which know of whole groups of probes.
"""

from functools import cache
from math import ceil, floor, inf
from random import Random
from statistics import median

from probe.slo import pending
from probe.slo.alerts import EVALUATION, HOUR, MISSED, PAGES, PERIOD, PROMISE, TICKETS
from probe.slo.coins import toss
from probe.slo.history import share_of
from probe.slo.moving import reached
from probe.slo.pending import HALF_HOUR, SELDOM, Alert

ENOUGH = 300
"""Tickets after which their rate is known well enough. They come in clusters, so that is
to a fifth.
"""

MONTHS = 24
"""Played at most, for rates that are too low to matter."""

OUTAGES = 25
"""Played for a median."""

LONGEST = 6 * HOUR
"""Seconds that an outage is played to its ticket; what takes longer is for the windows of days."""

MONTH = PERIOD // EVALUATION
WARM_UP = max(burn.long for burn in TICKETS) // EVALUATION

RARELY = 0.01
"""Tickets in 30 days that are not worth playing for."""


@cache
def tickets(interval: float, budget: float, share: float) -> float:
    """Expected tickets in 30 days about an objective with `budget`, of a model that is bad at
    `share` of the probes, one each `interval` seconds.
    """
    most = _most_tickets(interval, budget, share)
    if most < RARELY:
        return most
    random = _seeded(interval, budget, share)
    probes = _probes(interval, 0, WARM_UP + MONTH)
    looks = range(WARM_UP, WARM_UP + MONTH)
    alerts = [pending.promise(probes, looks, budget)]
    alerts += [pending.ticket(probes, looks, burn, budget) for burn in TICKETS]
    count = months = 0
    while months < MONTHS and count < ENOUGH:
        bad = toss(probes, share, random)
        count += sum(1 for alert in alerts for _ in alert(bad))
        months += 1
    return count / months


@cache
def promise_broken(interval: float, budget: float, share: float) -> float:
    """Median seconds from when the first bad probe is known to HighModelLatency, where all was
    well before; infinite where more often than not `LONGEST` is not enough.
    """
    outages = Outages(interval, PROMISE.window, LONGEST)
    alert = pending.promise(outages.probes, outages.looks, budget)
    return outages.median([(alert, PROMISE.hold)], share, _seeded(interval, budget, share))


@cache
def paged(interval: float, budget: float, share: float, longest: float) -> float:
    """The same, to the first page about the objective, of outages of `longest` seconds."""
    outages = Outages(interval, max(MISSED.windows) + MISSED.before, longest)
    alerts = [(pending.missed(outages.probes, outages.looks, budget), 0)]
    alerts += [(pending.page(outages.probes, outages.looks, it, budget), it.hold) for it in PAGES]
    return outages.median(alerts, share, _seeded(interval, budget, share))


class Outages:
    """Models that were well, and from some moment on are not; the first bad probe is due then."""

    def __init__(self, interval: float, before: int, longest: float) -> None:
        """`before` and `longest` are the seconds that matter on both sides of that moment."""
        self._before = before // EVALUATION
        end = ceil(longest / EVALUATION)
        self.probes = _probes(interval, -self._before, end)
        self.looks = range(self._before + 1, self._before + end)

    def median(self, alerts: list[tuple[Alert, int]], share: float, random: Random) -> float:
        """Seconds until the first of the alerts fires that have been pending for so long."""
        number = OUTAGES if share < 1 else 1
        outages = (self._bad(share, random) for _ in range(number))
        return median(
            min(EVALUATION * next(alert(bad), inf) + hold for alert, hold in alerts)
            for bad in outages
        )

    def _bad(self, share: float, random: Random) -> list[int]:
        """The first is bad in any case."""
        others = toss([1, *self.probes[self._before + 1 :]], share, random)
        return [0] * (self._before + 1) + [1 + bad for bad in others[1:]]


def _seeded(interval: float, budget: float, share: float) -> Random:
    """One seed for one pace, however its figures came about."""
    return Random(f"{interval:.9g} {budget:.9g} {share:.9g}")


def _probes(interval: float, start: int, end: int) -> list[int]:
    """Those that were due before each evaluation from `start` to `end`; one is due at 0."""
    return [ceil(look * EVALUATION / interval) for look in range(start, end + 1)]


def _most_tickets(interval: float, budget: float, share: float) -> float:
    """More are not to be expected: of looks that find a window bad, whatever holds needs two that
    have nothing in common, or one at a window of days.
    """
    broken = _chance(PROMISE.window - EVALUATION, interval, budget, share) ** 2 / SELDOM
    burning = (_chance(it.long, interval, it.factor * budget, share) for it in TICKETS)
    return MONTH * (broken + sum(burning) / HALF_HOUR)


def _chance(seconds: float, interval: float, limit: float, share: float) -> float:
    """That more than `limit` of the probes of so many seconds are bad."""
    most = share_of(limit)
    sizes = {floor(seconds / interval), ceil(seconds / interval)}
    return max(reached(size, most(size) + 1, share) for size in sizes)
