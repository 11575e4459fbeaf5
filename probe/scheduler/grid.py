"""Due times of a probe on the monotonic clock, as an APScheduler trigger."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from apscheduler.triggers.base import BaseTrigger

from probe.clock import nanoseconds

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (represents 0 of the monotonic clock, not a date)
_MICROSECOND = timedelta(microseconds=1)


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

    def index(self, instant: int) -> int:
        """Return the number `n` of the last due time at or before `instant` (ns)."""
        return (instant - self.first) // self.interval

    def due_time(self, index: int) -> int:
        """Return due time number `index` (ns)."""
        return self.first + index * self.interval


class MonotonicZone(tzinfo):
    """Time zone whose current time is the monotonic clock.

    APScheduler reads the time with `datetime.now(zone)`. In this zone the result is the time since
    zero of the monotonic clock, represented as a date. So setting the wall clock neither delays
    due times nor makes several due at once.
    """

    def __init__(self, monotonic: Callable[[], int]) -> None:
        self._monotonic = monotonic

    def fromutc(self, _utc: datetime) -> datetime:
        return self.to_date(self._monotonic())

    def to_date(self, instant: int) -> datetime:
        """Return `instant` (ns) as a date of this zone, rounded up to whole microseconds."""
        return (_EPOCH - (-instant // 1000) * _MICROSECOND).replace(tzinfo=self)

    @staticmethod
    def to_instant(date: datetime) -> int:
        """Return a date of this zone as an instant (ns)."""
        return (date.replace(tzinfo=None) - _EPOCH) // _MICROSECOND * 1000

    def utcoffset(self, _date: datetime | None) -> timedelta:
        return timedelta(0)

    def dst(self, _date: datetime | None) -> None:
        return None

    def tzname(self, _date: datetime | None) -> str:
        return "monotonic"


class GridTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """Reports due times of a grid to APScheduler: at most two per call, even if it is late.

    APScheduler asks for the due time after `previous` until one lies in the future. After a
    suspension of hours there would be hundreds of thousands. The trigger reports the first one
    (the job's next run time) and the last one; `last_and_missed` counts those between.
    """

    def __init__(self, grid: Grid, zone: MonotonicZone) -> None:
        self._grid = grid
        self._zone = zone

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Return the next due time after `previous`, or the last one until `now` if it is later."""
        due = self._zone.to_date(self._grid.next_after(self._zone.to_instant(previous or now)))
        if due <= now:
            due = self._zone.to_date(
                self._grid.due_time(self._grid.index(self._zone.to_instant(now)))
            )
        return due

    def last_and_missed(self, run_times: list[datetime]) -> tuple[int, int]:
        """Return the last of `run_times` (ns) and the number of due times missed before it."""
        last = self._zone.to_instant(run_times[-1])
        if len(run_times) == 1:
            return last, 0
        first = self._zone.to_instant(run_times[0])
        return last, self._grid.index(last) - self._grid.index(first)
