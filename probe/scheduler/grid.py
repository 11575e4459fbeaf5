"""Due times of one probe on the monotonic clock."""

import zlib
from dataclasses import dataclass

from probe.clock import nanoseconds


@dataclass(frozen=True, slots=True)
class Grid:
    """Due times `first + n * interval` in whole nanoseconds, so that the period never drifts."""

    first: int
    interval: int

    @classmethod
    def for_probe(cls, name: str, interval_seconds: float, *, anchor: int) -> "Grid":
        """Return the grid of a probe that starts within one interval of `anchor` (ns).

        The offset is a hash of the name. This spreads probes with equal intervals over the
        interval, and keeps their order and distances the same in every process.
        """
        interval = nanoseconds(interval_seconds)
        return cls(first=anchor + zlib.crc32(name.encode()) * interval // 2**32, interval=interval)

    def next_after(self, instant: int) -> int:
        """Return the first due time after `instant` (ns).

        `instant` must not be before the anchor.
        """
        return instant + self.interval - (instant - self.first) % self.interval
