"""The two clocks of a machine, passed in wherever time is read."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

SECOND = 1_000_000_000
"""Nanoseconds in a second; instants and spans are integers of nanoseconds."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Instants in nanoseconds: one clock that only goes forward, one that people set."""

    monotonic: Callable[[], int] = time.monotonic_ns
    wall: Callable[[], int] = time.time_ns

    def seconds(self) -> float:
        """The monotonic clock, in seconds."""
        return self.monotonic() / SECOND

    def unix(self) -> float:
        """The wall clock, in Unix seconds."""
        return self.wall() / SECOND

    def date(self, instant: int) -> datetime:
        """What the wall clock showed, or will show, at an instant of the monotonic one (UTC)."""
        wall = self.wall() - (self.monotonic() - instant)
        return datetime.fromtimestamp(wall / SECOND, UTC)


def nanoseconds(seconds: float) -> int:
    return round(seconds * SECOND)


def rfc3339(instant: datetime | float) -> str:
    """The instant, or the Unix seconds, in UTC."""
    if not isinstance(instant, datetime):
        instant = datetime.fromtimestamp(instant, UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
