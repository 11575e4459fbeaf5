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

from probe.slo import alert_conditions
from probe.slo.alert_conditions import HALF_HOUR, SELDOM, Alert
from probe.slo.alerts import (
    BUDGET_PERIOD_SECONDS,
    EVALUATION_INTERVAL_SECONDS,
    HIGH_LATENCY,
    HOUR_SECONDS,
    OBJECTIVE_MISSED,
    PAGE_BURNS,
    TICKET_BURNS,
)
from probe.slo.binomial import binomial_sf
from probe.slo.sampling import sample_failures
from probe.slo.windows import bad_ratio

ENOUGH = 300
"""Tickets after which their rate is known well enough. They come in clusters, so that is
to a fifth.
"""

MONTHS = 24
"""Played at most, for rates that are too low to matter."""

OUTAGES = 25
"""Played for a median."""

MAX_OUTAGE_SECONDS = 6 * HOUR_SECONDS
"""Seconds that an outage is played to its ticket; what takes longer is for the windows of days."""

MONTH = BUDGET_PERIOD_SECONDS // EVALUATION_INTERVAL_SECONDS
WARM_UP = max(burn.long for burn in TICKET_BURNS) // EVALUATION_INTERVAL_SECONDS

RARELY = 0.01
"""Tickets in 30 days that are not worth playing for."""


@cache
def expected_tickets(interval: float, budget: float, share: float) -> float:
    """Expected tickets in 30 days about an objective with `budget`, of a model that is bad at
    `share` of the probes, one each `interval` seconds.
    """
    most = _most_tickets(interval, budget, share)
    if most < RARELY:
        return most
    random = _seeded(interval, budget, share)
    probes = _probes(interval, 0, WARM_UP + MONTH)
    looks = range(WARM_UP, WARM_UP + MONTH)
    alerts = [alert_conditions.promise(probes, looks, budget)]
    alerts += [alert_conditions.ticket(probes, looks, burn, budget) for burn in TICKET_BURNS]
    count = months = 0
    while months < MONTHS and count < ENOUGH:
        bad = sample_failures(probes, share, random)
        count += sum(1 for alert in alerts for _ in alert(bad))
        months += 1
    return count / months


@cache
def median_time_to_ticket(interval: float, budget: float, share: float) -> float:
    """Median seconds from when the first bad probe is known to HighModelLatency, where all was
    well before; infinite where more often than not `LONGEST` is not enough.
    """
    outages = OutageSimulation(interval, HIGH_LATENCY.window, MAX_OUTAGE_SECONDS)
    alert = alert_conditions.promise(outages.probes, outages.looks, budget)
    return outages.median([(alert, HIGH_LATENCY.hold)], share, _seeded(interval, budget, share))


@cache
def median_time_to_page(interval: float, budget: float, share: float, longest: float) -> float:
    """The same, to the first page about the objective, of outages of `longest` seconds."""
    outages = OutageSimulation(
        interval, max(OBJECTIVE_MISSED.windows) + OBJECTIVE_MISSED.before, longest
    )
    alerts = [(alert_conditions.missed(outages.probes, outages.looks, budget), 0)]
    alerts += [
        (alert_conditions.page(outages.probes, outages.looks, it, budget), it.hold)
        for it in PAGE_BURNS
    ]
    return outages.median(alerts, share, _seeded(interval, budget, share))


class OutageSimulation:
    """Models that were well, and from some moment on are not; the first bad probe is due then."""

    def __init__(self, interval: float, before: int, longest: float) -> None:
        """`before` and `longest` are the seconds that matter on both sides of that moment."""
        self._before = before // EVALUATION_INTERVAL_SECONDS
        end = ceil(longest / EVALUATION_INTERVAL_SECONDS)
        self.probes = _probes(interval, -self._before, end)
        self.looks = range(self._before + 1, self._before + end)

    def median(self, alerts: list[tuple[Alert, int]], share: float, random: Random) -> float:
        """Seconds until the first of the alerts fires that have been pending for so long."""
        number = OUTAGES if share < 1 else 1
        outages = (self._bad(share, random) for _ in range(number))
        return median(
            min(
                EVALUATION_INTERVAL_SECONDS * next(alert(bad), inf) + hold for alert, hold in alerts
            )
            for bad in outages
        )

    def _bad(self, share: float, random: Random) -> list[int]:
        """The first is bad in any case."""
        others = sample_failures([1, *self.probes[self._before + 1 :]], share, random)
        return [0] * (self._before + 1) + [1 + bad for bad in others[1:]]


def _seeded(interval: float, budget: float, share: float) -> Random:
    """One seed for one pace, however its figures came about."""
    return Random(f"{interval:.9g} {budget:.9g} {share:.9g}")


def _probes(interval: float, start: int, end: int) -> list[int]:
    """Those that were due before each evaluation from `start` to `end`; one is due at 0."""
    return [ceil(look * EVALUATION_INTERVAL_SECONDS / interval) for look in range(start, end + 1)]


def _most_tickets(interval: float, budget: float, share: float) -> float:
    """More are not to be expected: of looks that find a window bad, whatever holds needs two that
    have nothing in common, or one at a window of days.
    """
    broken = (
        _chance(HIGH_LATENCY.window - EVALUATION_INTERVAL_SECONDS, interval, budget, share) ** 2
        / SELDOM
    )
    burning = (_chance(it.long, interval, it.factor * budget, share) for it in TICKET_BURNS)
    return MONTH * (broken + sum(burning) / HALF_HOUR)


def _chance(seconds: float, interval: float, limit: float, share: float) -> float:
    """That more than `limit` of the probes of so many seconds are bad."""
    most = bad_ratio(limit)
    sizes = {floor(seconds / interval), ceil(seconds / interval)}
    return max(binomial_sf(size, most(size) + 1, share) for size in sizes)
