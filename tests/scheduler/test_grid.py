"""The grid of due times and its APScheduler trigger."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from probe.clock import NS_PER_SECOND
from probe.scheduler.grid import Grid, GridTrigger, MonotonicZone
from tests.fakes import FakeTime

INTERVALS = st.floats(min_value=0.01, max_value=86_400)
INSTANTS = st.integers(min_value=0, max_value=10**18)


@given(name=st.text(), interval=INTERVALS, anchor=INSTANTS, later=INSTANTS)
def test_next_due_time(name: str, interval: float, anchor: int, later: int) -> None:
    """The next due time is on the grid, after now, and there is none in between."""
    grid = Grid.for_probe(name, interval, anchor=anchor)
    now = anchor + later
    due = grid.next_after(now)
    assert due > now
    assert (due - grid.first) % grid.interval == 0
    assert due - grid.interval <= now or due == grid.first
    assert due == grid.due_time(grid.index(now) + 1)


@given(name=st.text(), interval=INTERVALS, anchor=INSTANTS)
def test_first_due_time(name: str, interval: float, anchor: int) -> None:
    """A probe first comes due within one interval of the start."""
    grid = Grid.for_probe(name, interval, anchor=anchor)
    assert anchor <= grid.first <= anchor + grid.interval


def test_period_never_drifts() -> None:
    """A million thirds of a second are a million times the period, to the nanosecond."""
    grid = Grid.for_probe("model", 1 / 3, anchor=0)
    due = grid.first
    for _ in range(1_000_000):
        due = grid.next_after(due)
    assert due == grid.first + 1_000_000 * grid.interval


def test_probes_spread_over_the_interval() -> None:
    """Of 200 probes with one interval, no tenth of it gets more than twice its share."""
    firsts = [Grid.for_probe(f"model-{n}", 1.0, anchor=0).first for n in range(200)]
    tenths = [first * 10 // NS_PER_SECOND for first in firsts]
    assert max(tenths.count(tenth) for tenth in range(10)) <= 40


def test_offset_is_the_same_in_every_process() -> None:
    """The offset from the anchor depends on name and interval only: here 2.6 s of 10 s."""
    assert Grid.for_probe("sentiment", 10.0, anchor=0).first == 2_634_733_419
    assert Grid.for_probe("sentiment", 10.0, anchor=7).first == 2_634_733_426


def test_zone_follows_the_monotonic_clock_only() -> None:
    """The time of the zone advances with the monotonic clock, whatever the wall clock does."""
    time = FakeTime()
    zone = MonotonicZone(time.clock().monotonic)
    before = datetime.now(zone)
    time.step_wall(-86_400)
    time.monotonic += 3 * NS_PER_SECOND
    assert (datetime.now(zone) - before).total_seconds() == 3


@given(instant=INSTANTS)
def test_dates_of_the_zone_are_instants(instant: int) -> None:
    """An instant converted to a date and back is that instant, rounded up to the microsecond."""
    zone = MonotonicZone(lambda: 0)
    assert 0 <= zone.to_instant(zone.to_date(instant)) - instant < 1000


def test_trigger_reports_the_next_and_the_last_due_time() -> None:
    """A late look gets the last due time until now, and `last_and_missed` the number before it."""
    zone = MonotonicZone(lambda: 0)
    trigger = GridTrigger(Grid(first=0, interval=NS_PER_SECOND), zone)
    now = zone.to_date(100 * NS_PER_SECOND)
    assert trigger.get_next_fire_time(None, now) == zone.to_date(101 * NS_PER_SECOND)
    assert trigger.get_next_fire_time(zone.to_date(3 * NS_PER_SECOND), now) == now
    assert trigger.get_next_fire_time(now, now) == zone.to_date(101 * NS_PER_SECOND)
    run_times = [zone.to_date(4 * NS_PER_SECOND), now]
    assert trigger.last_and_missed(run_times) == (100 * NS_PER_SECOND, 96)
    assert trigger.last_and_missed([now]) == (100 * NS_PER_SECOND, 0)


@given(name=st.text(), interval=INTERVALS, anchor=INSTANTS, earlier=INSTANTS, later=INSTANTS)
def test_trigger_counts_every_due_time(
    name: str, interval: float, anchor: int, earlier: int, later: int
) -> None:
    """The last due time and the missed ones are all due times until now, also off the microsecond.

    This is the loop of APScheduler's `Job._get_run_times`.
    """
    zone = MonotonicZone(lambda: 0)
    grid = Grid.for_probe(name, interval, anchor=anchor)
    trigger = GridTrigger(grid, zone)
    run_time = trigger.get_next_fire_time(None, zone.to_date(anchor + earlier))
    first, now = zone.to_instant(run_time), zone.to_date(anchor + earlier + later)
    run_times = []
    while run_time <= now:
        run_times.append(run_time)
        run_time = trigger.get_next_fire_time(run_time, now)
    assert len(run_times) <= 2
    if run_times:
        last, missed = trigger.last_and_missed(run_times)
        assert missed == grid.index(zone.to_instant(now)) - grid.index(first)
        assert zone.to_instant(run_time) - last > 0
        assert grid.index(zone.to_instant(run_time)) == grid.index(last) + 1
