"""Counts the results of a probe by kind and half hour, over 24 hours."""

from collections import deque
from typing import NamedTuple

from probe.clock import HOUR_SECONDS
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
    """Counts the results of one probe, 1 kB for each kind.

    `now` is in Unix seconds, and must not decrease.
    """

    def __init__(self) -> None:
        self._counts = {
            kind: deque([0] * MAX_HALF_HOURS, maxlen=MAX_HALF_HOURS)
            for kind in (ResultKind.GOOD, ResultKind.SLOW, ResultKind.FAILED)
        }
        self._current = 0

    def record(self, kind: ResultKind, now: float) -> None:
        """Count a result that counts against the SLO."""
        self._advance(now)
        self._counts[kind][-1] += 1

    def half_hours(self, now: float) -> list[HalfHour]:
        """Return the half hours of the last 24 hours, oldest first; the last is in progress."""
        self._advance(now)
        oldest = self._current - MAX_HALF_HOURS + 1
        return [
            HalfHour((oldest + index) * HALF_HOUR_SECONDS, *counts)
            for index, counts in enumerate(zip(*self._counts.values(), strict=True))
        ]

    def _advance(self, now: float) -> None:
        """Begin the half hours since the last call."""
        current = int(now // HALF_HOUR_SECONDS)
        for _ in range(min(current - self._current, MAX_HALF_HOURS)):
            for counts in self._counts.values():
                counts.append(0)
        self._current = current
