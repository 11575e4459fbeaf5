"""Counts of events in successive slots of time."""

from array import array


class SlotCounts:
    """Numbers of events in the last `max_slots` slots, the last of which is in progress.

    A slot takes 2 bytes from its beginning on, and 4 after more than 65,535 events in one slot.
    """

    __slots__ = ("_counts", "_max_slots")

    def __init__(self, max_slots: int) -> None:
        self._counts = array("H", (0,))
        self._max_slots = max_slots

    def increment(self) -> None:
        """Count an event in the slot in progress."""
        try:
            self._counts[-1] += 1
        except OverflowError:
            self._counts = array("I", self._counts)
            self._counts[-1] += 1

    def begin(self, slots: int) -> None:
        """Begin `slots` new slots, the last of which is now in progress. Drop the oldest ones."""
        empty = min(slots, self._max_slots)
        self._counts.frombytes(bytes(empty * self._counts.itemsize))
        del self._counts[: -self._max_slots]

    def last(self, slots: int) -> list[int]:
        """Return the counts of the last `slots` slots, oldest first; 0 before the first one."""
        known = self._counts[max(0, len(self._counts) - slots) :].tolist()
        return [0] * (slots - len(known)) + known

    def sum_of_last(self, slots: int) -> int:
        """Return the number of events in the last `slots` slots."""
        return sum(self._counts[max(0, len(self._counts) - slots) :])
