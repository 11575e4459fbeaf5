"""Sums over a rolling window of time, in bounded memory."""

from collections.abc import Callable
from decimal import Decimal

from probe.clock import nanoseconds


class RollingWindow:
    """Sum of the amounts of the last `seconds`.

    Amounts of the same slice of time are one entry, so the window has at most `slices` + 1 entries.
    An amount leaves the sum when all of its slice is outside the window: up to one slice later than
    it came in, and never too early.
    """

    def __init__(self, monotonic: Callable[[], int], seconds: float, slices: int) -> None:
        """`monotonic` returns the monotonic clock (ns)."""
        self._monotonic = monotonic
        self._slice_ns = nanoseconds(seconds) // slices
        self._slices = slices
        # A list: an empty deque takes ten times the memory, and each probe has three windows.
        self._entries = list[tuple[int, Decimal]]()

    def add(self, amount: Decimal) -> None:
        """Add an amount of now."""
        current = self._monotonic() // self._slice_ns
        if self._entries and self._entries[-1][0] == current:
            amount += self._entries.pop()[1]
        self._entries.append((current, amount))
        self._drop_old(current)

    def total(self) -> Decimal:
        """Return the sum of the amounts in the window."""
        self._drop_old(self._monotonic() // self._slice_ns)
        return sum((amount for _, amount in self._entries), Decimal(0))

    def clear(self) -> None:
        """Forget all amounts."""
        self._entries.clear()

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def _drop_old(self, current: int) -> None:
        while self._entries and self._entries[0][0] < current - self._slices:
            del self._entries[0]
