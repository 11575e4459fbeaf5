"""The job of APScheduler: its clock, its trigger, and the event that wakes the scheduler."""

import threading
import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.clock import NS_PER_SECOND
from probe.scheduler.grid import Grid
from probe.scheduler.merged_grid import MergedGrid
from probe.scheduler.tick_scheduler import MergedGridTrigger, MonotonicZone, WakeUpEvent
from tests.fakes import FakeTime, ManualPlainScheduler, ManualScheduler

INSTANTS = st.integers(min_value=0, max_value=10**18)


def test_zone_follows_the_monotonic_clock_only() -> None:
    """The time of the zone advances with the monotonic clock, whatever the wall clock does."""
    fake_time = FakeTime()
    zone = MonotonicZone(fake_time.clock().monotonic)
    before = datetime.now(zone)
    fake_time.step_wall(-86_400)
    fake_time.monotonic += 3 * NS_PER_SECOND
    assert (datetime.now(zone) - before).total_seconds() == 3


@given(instant=INSTANTS, later=st.integers(0, 3000))
def test_dates_have_the_order_of_their_instants(instant: int, later: int) -> None:
    """A due time until now never has a later date than now."""
    zone = MonotonicZone(lambda: 0)
    assert zone.to_date(instant) <= zone.to_date(instant + later)
    assert (zone.to_date(instant) < zone.to_date(instant + later)) or later < 1000


def test_trigger_reports_the_next_due_time() -> None:
    """The earliest due time of all grids, but none until now: APScheduler would ask again."""
    zone = MonotonicZone(lambda: 0)
    grids = MergedGrid(Grid(first=5000, interval=10_000), lambda _due, _missed: None, now=0)
    grids.add(Grid(first=3000, interval=10_000), lambda _due, _missed: None, now=0)
    trigger = MergedGridTrigger(grids, zone)
    assert trigger.get_next_fire_time(None, zone.to_date(0)) == zone.to_date(3000)
    assert trigger.get_next_fire_time(None, zone.to_date(3000)) == zone.to_date(4000)
    assert trigger.get_next_fire_time(None, zone.to_date(60_000)) == zone.to_date(61_000)


@pytest.mark.parametrize("scheduler_type", [ManualScheduler, ManualPlainScheduler])
def test_an_earlier_due_time_advances_the_job(scheduler_type: type[ManualScheduler]) -> None:
    """A grid that is added while the job waits for a later due time is called on time."""
    fake_time, calls = FakeTime(monotonic=0), list[int]()
    grids = MergedGrid(Grid(NS_PER_SECOND, NS_PER_SECOND), lambda due, _: calls.append(due), now=0)
    scheduler = scheduler_type(grids, fake_time.clock().monotonic)
    scheduler.start()
    scheduler.run_due_jobs()
    grids.add(Grid(1001, NS_PER_SECOND), lambda due, _: calls.append(due), now=0)
    scheduler.advance_job()
    for instant, expected in [(1000, []), (1001, [1001]), (NS_PER_SECOND, [1001, NS_PER_SECOND])]:
        fake_time.monotonic = instant
        scheduler.run_due_jobs()
        assert calls == expected


@pytest.mark.parametrize("scheduler_type", [ManualScheduler, ManualPlainScheduler])
def test_nothing_is_called_after_the_shutdown(scheduler_type: type[ManualScheduler]) -> None:
    """The job is gone, and a grid that is added then has no effect."""
    fake_time, calls = FakeTime(monotonic=0), list[int]()
    grids = MergedGrid(Grid(1000, 1000), lambda due, _: calls.append(due), now=0)
    scheduler = scheduler_type(grids, fake_time.clock().monotonic)
    scheduler.start()
    scheduler.shutdown()
    scheduler.advance_job()
    fake_time.monotonic = 5000
    scheduler.run_due_jobs()
    assert calls == []


def test_event() -> None:
    """It is set once, however often, until the wait that it ends."""
    event = WakeUpEvent()
    event.wait(0)
    assert not event.is_set()
    event.set()
    event.set()
    assert event.is_set()
    event.wait(None)
    assert not event.is_set()
    event.set()
    event.clear()
    assert not event.is_set()


@pytest.mark.timing
def test_event_ends_a_wait() -> None:
    """Another thread ends the wait long before its timeout."""
    event = WakeUpEvent()
    threading.Timer(0.05, event.set).start()
    before = time.monotonic()
    event.wait(60)
    assert time.monotonic() - before < 30
