"""The grid of due times."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from probe.clock import SECOND
from probe.scheduler.grid import Grid, GridTrigger, MonotonicZone
from tests.fakes import FakeTime

INTERVALS = st.floats(min_value=0.01, max_value=86_400)
INSTANTS = st.integers(min_value=0, max_value=10**18)


@given(name=st.text(), interval=INTERVALS, anchor=INSTANTS, later=INSTANTS)
def test_next_due_time(name: str, interval: float, anchor: int, later: int) -> None:
    """The next due time is on the grid, after now, and no other one comes before it."""
    grid = Grid.of(name, interval, anchor=anchor)
    now = anchor + later
    due = grid.after(now)
    assert due > now
    assert (due - grid.first) % grid.interval == 0
    assert due - grid.interval <= now or due == grid.first


@given(name=st.text(), interval=INTERVALS, anchor=INSTANTS)
def test_first_due_time(name: str, interval: float, anchor: int) -> None:
    """A probe first comes due within one interval of the start."""
    grid = Grid.of(name, interval, anchor=anchor)
    assert anchor <= grid.first <= anchor + grid.interval


def test_period_never_drifts() -> None:
    """A million thirds of a second are a million times the period, to the nanosecond."""
    grid = Grid.of("model", 1 / 3, anchor=0)
    due = grid.first
    for _ in range(1_000_000):
        due = grid.after(due)
    assert due == grid.first + 1_000_000 * grid.interval


def test_probes_spread_over_the_interval() -> None:
    """Of 200 probes with one interval, no tenth of it gets more than twice its share."""
    firsts = [Grid.of(f"model-{n}", 1.0, anchor=0).first for n in range(200)]
    tenths = [first * 10 // SECOND for first in firsts]
    assert max(tenths.count(tenth) for tenth in range(10)) <= 40


def test_places_survive_a_restart() -> None:
    """A probe has the same place in its interval in every process: after 2.6 of 10 s, this one."""
    assert Grid.of("sentiment", 10.0, anchor=0).first == 2_634_733_419
    assert Grid.of("sentiment", 10.0, anchor=7).first - 7 == (
        Grid.of("sentiment", 10.0, anchor=0).first
    )


def test_zone_follows_the_monotonic_clock_alone() -> None:
    """In the monotonic zone it gets later by what the monotonic clock says, whatever the wall's."""
    time = FakeTime()
    zone = MonotonicZone(time.clock().monotonic)
    before = datetime.now(zone)
    time.step_wall(-86_400)
    time.monotonic += 3 * SECOND
    assert (datetime.now(zone) - before).total_seconds() == 3


@given(instant=INSTANTS)
def test_dates_of_the_zone_are_instants(instant: int) -> None:
    """An instant written as a date is that instant, rounded up to the microsecond."""
    zone = MonotonicZone(lambda: 0)
    assert 0 <= zone.instant(zone.at(instant)) - instant < 1000


def test_trigger_gives_every_due_time() -> None:
    """Asked late, the trigger still gives the due time that follows the previous one."""
    zone = MonotonicZone(lambda: 0)
    trigger = GridTrigger(Grid(first=0, interval=SECOND), zone)
    late = zone.at(100 * SECOND)
    assert trigger.get_next_fire_time(zone.at(3 * SECOND), late) == zone.at(4 * SECOND)
    assert trigger.get_next_fire_time(None, late) == zone.at(101 * SECOND)
