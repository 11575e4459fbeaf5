"""Counts the successes, slow successes and failures of a probe by half hour, over 24 hours."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from probe.config.schema import Objective
from probe.history.objectives import SlidingWindowCounter
from probe.result import Result

SLOT_SECONDS = 1800
SLOT_COUNT = 48


class StatusSlot(NamedTuple):
    """Number of results by kind in one half hour, which began `age_seconds` ago.

    Failures that do not count against the SLO are left out.
    """

    age_seconds: float
    good: int
    slow: int
    failed: int

    @property
    def total(self) -> int:
        return self.good + self.slow + self.failed


def strictest_latency(objectives: Iterable[Objective]) -> float:
    """Return the shortest latency of the objectives (seconds); infinite without any."""
    latencies = (item.latency for item in objectives if item.latency is not None)
    return min(latencies, default=math.inf)


class StatusCounter:
    """Counts the results of one probe. 8 bytes per slot for each of two counters."""

    def __init__(self) -> None:
        self._results = SlidingWindowCounter(slot_seconds=SLOT_SECONDS, slot_count=SLOT_COUNT)
        # Only successes: `bad` are those that were too slow.
        self._successes = SlidingWindowCounter(slot_seconds=SLOT_SECONDS, slot_count=SLOT_COUNT)

    def record(self, result: Result, strictest: float, now: float) -> None:
        """Count a result that counts against the SLO, at `now` (seconds of a monotonic clock)."""
        self._results.add(now, good=result.failure is None)
        if result.failure is None:
            self._successes.add(now, good=result.latency <= strictest)

    def slots(self, now: float) -> list[StatusSlot]:
        """Return the slots of the last 24 hours, oldest first; the last one is in progress."""
        pairs = zip(self._results.slots(now), self._successes.slots(now), strict=True)
        newest_age = now % SLOT_SECONDS
        return [
            StatusSlot(
                age_seconds=newest_age + (SLOT_COUNT - 1 - index) * SLOT_SECONDS,
                good=successes.good,
                slow=successes.bad,
                failed=results.bad,
            )
            for index, (results, successes) in enumerate(pairs)
        ]
