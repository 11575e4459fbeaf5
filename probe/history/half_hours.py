"""Counts the results of a probe by kind and half hour, over 24 hours."""

from typing import NamedTuple

from probe.clock import HOUR_SECONDS
from probe.history.slot_counts import SlotCounts
from probe.result import ResultKind

HALF_HOUR_SECONDS = HOUR_SECONDS // 2
MAX_HALF_HOURS = 48


class HalfHour(NamedTuple):
    """Number of results by kind in one half hour, which began at `started` (Unix seconds).

    Failures that do not count against the SLO are left out.
    """

    started: float
    good: int
    slow: int
    failed: int

    @property
    def total(self) -> int:
        return self.good + self.slow + self.failed


class HalfHourCounter:
    """Counts the results of one probe, 0.2 kB for each kind after 24 hours.

    `now` is in Unix seconds, and must not decrease.
    """

    __slots__ = ("_counts", "_current")

    def __init__(self) -> None:
        self._counts = {
            kind: SlotCounts(MAX_HALF_HOURS)
            for kind in (ResultKind.GOOD, ResultKind.SLOW, ResultKind.FAILED)
        }
        # None before the first call.
        self._current: int | None = None

    def record(self, kind: ResultKind, now: float) -> None:
        """Count a result that counts against the SLO."""
        self._advance(now)
        self._counts[kind].increment()

    def half_hours(self, now: float) -> list[HalfHour]:
        """Return the half hours of the last 24 hours, oldest first; the last is in progress."""
        oldest = self._advance(now) - MAX_HALF_HOURS + 1
        by_kind = (counts.last(MAX_HALF_HOURS) for counts in self._counts.values())
        return [
            HalfHour((oldest + index) * HALF_HOUR_SECONDS, *counts)
            for index, counts in enumerate(zip(*by_kind, strict=True))
        ]

    def _advance(self, now: float) -> int:
        """Begin the half hours since the last call. Return the number of the current one."""
        current = int(now // HALF_HOUR_SECONDS)
        if self._current is not None and current > self._current:
            for counts in self._counts.values():
                counts.begin(current - self._current)
        self._current = current
        return current
