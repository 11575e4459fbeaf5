"""Rate limits by token bucket, for clients of the HTTP server and for loggers."""

import math
from collections import OrderedDict
from collections.abc import Callable

# Keys that a `RateLimiter` remembers, about 3 MB. Then it forgets the least recent one.
MAX_KEYS = 10_000


class RateLimiter:
    """One token bucket for each key, full at first. Not thread-safe."""

    def __init__(self, *, size: int, per_second: float, now: Callable[[], float]) -> None:
        """`now` is a monotonic clock in seconds."""
        self._size = size
        self._per_second = per_second
        self._now = now
        # Tokens and time of the last change (seconds), by key.
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> int:
        """Take a token and return 0, or return the seconds until there is one (rounded up)."""
        level = self._level(key)
        if level < 1:
            return math.ceil((1 - level) / self._per_second)
        self._set_level(key, level - 1)
        return 0

    def give_back(self, key: str) -> None:
        """Return a token that was taken."""
        self._set_level(key, min(self._size, self._level(key) + 1))

    def _level(self, key: str) -> float:
        now = self._now()
        level, updated = self._buckets.get(key, (float(self._size), now))
        return min(self._size, level + (now - updated) * self._per_second)

    def _set_level(self, key: str, level: float) -> None:
        self._buckets[key] = (level, self._now())
        self._buckets.move_to_end(key)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
