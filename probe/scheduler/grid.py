"""The grid of due times, and what APScheduler needs to follow it on the monotonic clock."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from apscheduler.triggers.base import BaseTrigger

from probe.clock import nanoseconds

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (a label of monotonic zero, not a date)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Grid:
    """Due times `first + n * interval`, in whole nanoseconds, so that the period never drifts."""

    first: int
    interval: int

    @classmethod
    def of(cls, name: str, interval: float, *, anchor: int) -> "Grid":
        """The grid of a probe (interval in seconds), its phase in the interval taken from its name.

        Probes that share an interval so spread over it, and keep their places over a restart.
        """
        length = nanoseconds(interval)
        return cls(first=anchor + zlib.crc32(name.encode()) * length // 2**32, interval=length)

    def after(self, instant: int) -> int:
        """The first due time later than an instant, which is not before the anchor."""
        return instant + self.interval - (instant - self.first) % self.interval


class MonotonicZone(tzinfo):
    """A time zone in which it is always as late as the monotonic clock says.

    APScheduler asks `datetime.now(zone)` for the time. In this zone the answer is the time since
    the monotonic clock's zero, written as a date, so that nobody who sets the wall clock can stop
    the grid or make it catch up.
    """

    def __init__(self, monotonic: Callable[[], int]) -> None:
        self._monotonic = monotonic

    def fromutc(self, _utc: datetime) -> datetime:
        return self.at(self._monotonic())

    def at(self, instant: int) -> datetime:
        """An instant as this zone's date, rounded up to the microseconds that a datetime has."""
        return (_EPOCH - (-instant // 1000) * _MICROSECOND).replace(tzinfo=self)

    @staticmethod
    def instant(date: datetime) -> int:
        return (date.replace(tzinfo=None) - _EPOCH) // _MICROSECOND * 1000

    def utcoffset(self, _date: datetime | None) -> timedelta:
        return timedelta(0)

    def dst(self, _date: datetime | None) -> None:
        return None

    def tzname(self, _date: datetime | None) -> str:
        return "monotonic"


class GridTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """Tells APScheduler the next due time; every one of them, however late it asks."""

    def __init__(self, grid: Grid, zone: MonotonicZone) -> None:
        self._grid = grid
        self._zone = zone

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        return self._zone.at(self._grid.after(self._zone.instant(previous or now)))
