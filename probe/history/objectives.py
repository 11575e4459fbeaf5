"""Counts good and bad events of each objective over sliding windows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from probe.clock import HOUR_SECONDS, MINUTE_SECONDS
from probe.config.settings import Objective
from probe.history.slot_counts import SlotCounts
from probe.result import Result
from probe.slo.alerts import BUDGET_PERIOD_SECONDS


class StatusWindow(StrEnum):
    """Windows over which the status of an objective is shown. The values are JSON keys."""

    FIVE_MINUTES = "5m"
    HOUR = "1h"
    BUDGET_PERIOD = "kept"


class GoodBad(NamedTuple):
    """Number of events that met an objective, and of events that did not."""

    good: int = 0
    bad: int = 0

    @property
    def total(self) -> int:
        return self.good + self.bad

    @property
    def ratio(self) -> float | None:
        """Good events per event; None without events."""
        return self.good / self.total if self.total else None


class SlidingWindowCounter:
    """Counts events in time slots and forgets the oldest slots.

    A slot takes 4 bytes from its beginning on, and 8 at high rates: see `SlotCounts`.
    """

    __slots__ = ("_bad", "_current_slot", "_good", "_slot_seconds")

    def __init__(self, *, slot_seconds: float, slot_count: int) -> None:
        self._slot_seconds = slot_seconds
        self._good = SlotCounts(slot_count)
        self._bad = SlotCounts(slot_count)
        # None before the first call.
        self._current_slot: int | None = None

    def add(self, now: float, *, good: bool) -> None:
        """Count one event at `now` (seconds of a monotonic clock)."""
        self._advance(now)
        (self._good if good else self._bad).increment()

    def count(self, now: float, seconds: float) -> GoodBad:
        """Return the events of the last `seconds`. The slot in progress counts as a whole slot."""
        self._advance(now)
        slots = round(seconds / self._slot_seconds)
        return GoodBad(good=self._good.sum_of_last(slots), bad=self._bad.sum_of_last(slots))

    def _advance(self, now: float) -> None:
        """Begin the slots since the last call."""
        slot = int(now / self._slot_seconds)
        if self._current_slot is None:
            self._current_slot = slot
        if slot > self._current_slot:
            self._good.begin(slot - self._current_slot)
            self._bad.begin(slot - self._current_slot)
            self._current_slot = slot


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveStatus:
    """Good and bad events of one objective, by window. Failures that do not
    count against the SLO are left out.
    """

    objective: Objective
    counts: Mapping[StatusWindow, GoodBad]
    covered_seconds: float
    """Time since counting began, at most the budget period."""

    def met(self, window: StatusWindow) -> bool | None:
        """Return whether the objective was met in `window`; None without events."""
        return _met(self.counts[window], self.objective)

    @property
    def budget_left(self) -> float | None:
        """Unspent share of the error budget of all events counted; None without events.

        1 if nothing is spent, 0 if all is spent, negative if the objective is missed.
        """
        ratio = self.counts[StatusWindow.BUDGET_PERIOD].ratio
        return None if ratio is None else 1 - (1 - ratio) / (1 - self.objective.target)


@dataclass(slots=True)
class ObjectiveCounter:
    """Counts the events of one objective since `since` (seconds of a monotonic clock)."""

    objective: Objective
    since: float
    last_hour: SlidingWindowCounter = field(
        default_factory=lambda: SlidingWindowCounter(slot_seconds=15, slot_count=240)
    )
    budget_period: SlidingWindowCounter = field(
        default_factory=lambda: SlidingWindowCounter(
            slot_seconds=HOUR_SECONDS, slot_count=BUDGET_PERIOD_SECONDS // HOUR_SECONDS
        )
    )

    def record(self, result: Result, now: float) -> None:
        """Count a result that counts against the SLO, at `now`, unless it is no event."""
        good = self.objective.is_good(result)
        if good is not None:
            self.last_hour.add(now, good=good)
            self.budget_period.add(now, good=good)

    def met_recently(self, now: float) -> bool | None:
        """Return whether the objective was met in the 5 minutes before `now`; None without events.

        Takes a small part of the time of `status`.
        """
        return _met(self.last_hour.count(now, 5 * MINUTE_SECONDS), self.objective)

    def status(self, now: float) -> ObjectiveStatus:
        """Return the counts at `now`."""
        return ObjectiveStatus(
            objective=self.objective,
            counts={
                StatusWindow.FIVE_MINUTES: self.last_hour.count(now, 5 * MINUTE_SECONDS),
                StatusWindow.HOUR: self.last_hour.count(now, HOUR_SECONDS),
                StatusWindow.BUDGET_PERIOD: self.budget_period.count(now, BUDGET_PERIOD_SECONDS),
            },
            covered_seconds=min(now - self.since, BUDGET_PERIOD_SECONDS),
        )


def _met(count: GoodBad, objective: Objective) -> bool | None:
    return None if count.ratio is None else count.ratio >= objective.target
