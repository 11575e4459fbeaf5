"""When alerts are pending, against the same conditions written out look by look."""

from collections.abc import Callable
from itertools import groupby
from math import ceil
from random import Random

import pytest

from probe.slo import alert_conditions
from probe.slo.alerts import HIGH_LATENCY, OBJECTIVE_MISSED, PAGE_BURNS, TICKET_BURNS
from probe.slo.evidence import evidence
from probe.slo.sampling import sample_failures

BEFORE, END = 8640, 8640 + 2880
LOOKS = range(BEFORE, END)
CASES = [(7, 0.05, 0.06), (10, 0.01, 0.02), (40, 0.15, 0.2), (0.1, 0.01, 0.0101), (300, 0.01, 0.2)]


class Played:
    """A model that was bad at `share` of the probes for four days."""

    def __init__(self, interval: float, share: float) -> None:
        self.probes = [ceil(look * 30 / interval) for look in range(END + 1)]
        self.bad = sample_failures(self.probes, share, Random(1))

    def more(self, look: int, width: int, share: float) -> bool:
        bad = self.bad[look] - self.bad[look - width]
        return bad > share * (self.probes[look] - self.probes[look - width]) + 1e-9

    def evidence(self, look: int, window: int, budget: float) -> float:
        then = look - window // 30 + 1
        bad, probes = self.bad[look] - self.bad[then], self.probes[look] - self.probes[then]
        return evidence(bad, probes, budget) * window / (window - 30)


def runs(holds: Callable[[int], bool], step: int, hold: int) -> list[int]:
    """The looks, counted from 0, that begin one for longer than `hold` seconds."""
    found = []
    for flag, run in groupby(enumerate(LOOKS[::step]), key=lambda it: holds(it[1])):
        numbers = [number for number, _ in run]
        if flag and len(numbers) * step * 30 > hold:
            found.append(numbers[0])
    return found


@pytest.mark.parametrize(("interval", "budget", "share"), CASES)
def test_promise(interval: float, budget: float, share: float) -> None:
    """HighModelLatency: nothing is missed by looking seldom at first."""
    it = Played(interval, share)
    alert = alert_conditions.promise(it.probes, LOOKS, budget)
    expected = runs(lambda look: it.more(look, 9, budget), 1, HIGH_LATENCY.hold)
    assert list(alert(it.bad)) == expected


@pytest.mark.parametrize(("interval", "budget", "share"), CASES)
def test_tickets(interval: float, budget: float, share: float) -> None:
    """ModelErrorBudgetBurn: days in half hours, hours as they are."""
    it = Played(interval, share)
    for burn in TICKET_BURNS:
        limit = burn.factor * budget

        def burns(look: int) -> bool:
            full = look // 60 * 60
            long = it.more(full, burn.long // 30, limit)  # noqa: B023 (called within the turn)
            return long and it.more(look, burn.short // 30 - 1, limit)  # noqa: B023

        alert = alert_conditions.ticket(it.probes, LOOKS, burn, budget)
        assert list(alert(it.bad)) == runs(burns, 4, burn.hold)


@pytest.mark.parametrize(("interval", "budget", "share"), CASES)
def test_pages(interval: float, budget: float, share: float) -> None:
    """ModelObjectiveMissed and the faster burns, which ask for evidence."""
    it = Played(interval, 3 * share)

    def most(look: int) -> float:
        return max(it.evidence(look, window, budget) for window in OBJECTIVE_MISSED.windows)

    def missed(look: int) -> bool:
        lately = it.bad[look] > it.bad[look - 3]
        return lately and most(look) > OBJECTIVE_MISSED.evidence and most(look - 6) > 2

    assert list(alert_conditions.missed(it.probes, LOOKS, budget)(it.bad)) == runs(missed, 1, 0)
    burn = PAGE_BURNS[0]

    def burns(look: int) -> bool:
        share = burn.factor * budget
        both = it.more(look, 9, share) and it.more(look, 119, share)
        return both and it.evidence(look, burn.long, budget) > OBJECTIVE_MISSED.evidence

    assert list(alert_conditions.page(it.probes, LOOKS, burn, budget)(it.bad)) == runs(
        burns, 1, burn.hold
    )
