"""Monotonic and wall clock, injected for tests."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

# Nanoseconds per second. Instants and durations are integers in nanoseconds.
NS_PER_SECOND = 1_000_000_000

MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks of a machine, in nanoseconds. Only the wall clock can be set or go back."""

    monotonic: Callable[[], int] = time.monotonic_ns
    wall: Callable[[], int] = time.time_ns

    def monotonic_seconds(self) -> float:
        """Return the monotonic clock in seconds."""
        return self.monotonic() / NS_PER_SECOND

    def unix_seconds(self) -> float:
        """Return the wall clock in Unix seconds."""
        return self.wall() / NS_PER_SECOND

    def to_datetime(self, instant: int) -> datetime:
        """Return the time (UTC) of an instant of the monotonic clock, by the current wall clock."""
        wall = self.wall() - (self.monotonic() - instant)
        return datetime.fromtimestamp(wall / NS_PER_SECOND, UTC)


def nanoseconds(seconds: float) -> int:
    """Return `seconds` in whole nanoseconds."""
    return round(seconds * NS_PER_SECOND)


def rfc3339(instant: datetime | float) -> str:
    """Return a date or Unix seconds as UTC text with milliseconds: `2026-01-02T03:04:05.678Z`."""
    if not isinstance(instant, datetime):
        instant = datetime.fromtimestamp(instant, UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
