"""Integral of the number of requests in flight, for Little's law."""

from collections import defaultdict
from itertools import accumulate


class ConcurrencyIntegral:
    """Integral of the number of requests in flight over each second. Times are seconds from 0."""

    def __init__(self) -> None:
        # A change counts for the rest of its second, and in full for each later second.
        self._partial: defaultdict[int, float] = defaultdict(float)
        self._changes: defaultdict[int, int] = defaultdict(int)
        self._first_changed = 0

    def increase(self, time: float) -> None:
        """Count one request more from `time`."""
        self._change(time, 1)

    def decrease(self, time: float) -> None:
        """Count one request less from `time`."""
        self._change(time, -1)

    def take(self, now: float) -> dict[int, float]:
        """Return the integral of each second up to `now` that has changed since the last call."""
        first, last = self._first_changed, int(now)
        # The current second is not over.
        self._first_changed = last
        levels = list(accumulate(self._changes[second] for second in range(last + 2)))
        integrals = {
            second: self._partial[second] + (levels[second - 1] if second else 0)
            for second in range(first, last + 1)
        }
        integrals[last] -= levels[last] * (last + 1 - now)
        return integrals

    def _change(self, time: float, amount: int) -> None:
        second = int(time)
        self._partial[second] += amount * (second + 1 - time)
        self._changes[second] += amount
        self._first_changed = min(self._first_changed, second)
