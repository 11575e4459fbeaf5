"""The grid of due times."""

from hypothesis import given
from hypothesis import strategies as st

from probe.clock import NS_PER_SECOND
from probe.scheduler.grid import Grid

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
