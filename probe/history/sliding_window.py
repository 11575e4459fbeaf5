"""Good and bad events of the recent past, in little space whatever their rate."""

from array import array
from typing import NamedTuple


class GoodBad(NamedTuple):
    """Events that met an objective, and events that did not."""

    good: int = 0
    bad: int = 0

    @property
    def total(self) -> int:
        return self.good + self.bad

    @property
    def ratio(self) -> float | None:
        """The share that was good; None where nothing happened."""
        return self.good / self.total if self.total else None


class SlidingWindowCounter:
    """Counts by slots of time, of which the oldest are forgotten: 8 bytes for each slot."""

    def __init__(self, *, slot: float, slots: int) -> None:
        """So many slots of so many seconds."""
        self._slot = slot
        self._good = array("I", [0]) * slots
        self._bad = array("I", [0]) * slots
        self._now = 0

    def add(self, now: float, *, good: bool) -> None:
        """An event at this time, in seconds of a clock that only goes forward."""
        self._forward(now)
        counts = self._good if good else self._bad
        counts[self._now % len(counts)] += 1

    def last(self, now: float, seconds: float) -> GoodBad:
        """The events of the last seconds, of which the slot under way counts as a whole one."""
        self._forward(now)
        slots = len(self._good)
        recent = min(round(seconds / self._slot), slots)
        end = self._now % slots + 1
        # the ring ends here, and goes on from there
        here, there = slice(max(0, end - recent), end), slice(slots - max(0, recent - end), slots)
        return GoodBad(
            good=sum(self._good[here]) + sum(self._good[there]),
            bad=sum(self._bad[here]) + sum(self._bad[there]),
        )

    def _forward(self, now: float) -> None:
        """Empty the slots that have begun since the last time."""
        slots, slot = len(self._good), int(now / self._slot)
        for begun in range(max(self._now + 1, slot - slots + 1), slot + 1):
            self._good[begun % slots] = self._bad[begun % slots] = 0
        self._now = max(self._now, slot)
