"""Grids in one order: calls, missed due times, and changes between them."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from probe.clock import NS_PER_SECOND
from probe.scheduler.grid import Grid
from probe.scheduler.merged_grid import GridEntry, MergedGrid

# Few different ones, so that due times are often equal.
FIRSTS = st.integers(0, 9)
INTERVALS = st.integers(1, 12)


@dataclass
class Scheduled:
    """A grid in the merged one, and what it was called for."""

    grid: Grid
    since: int
    entry: GridEntry | None = None
    counted: int = 0
    last_due: int | None = None


class MergedGridMachine(RuleBasedStateMachine):
    """Grids of short intervals (ns) that come and go while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.looked = 0
        self.order: list[int] = []
        first = Scheduled(Grid(first=3, interval=7), since=0)
        self.merged = MergedGrid(first.grid, self.on_due(first), now=0)
        self.scheduled = [first]

    def on_due(self, scheduled: Scheduled) -> Callable[[int, int], None]:
        def record(due: int, missed: int) -> None:
            assert scheduled in self.scheduled
            scheduled.counted += 1 + missed
            scheduled.last_due = due

        return record

    @rule(first=FIRSTS, interval=INTERVALS)
    def add(self, first: int, interval: int) -> None:
        grid = Grid(first=first, interval=interval)
        new = Scheduled(grid, since=self.now)
        earliest = self.merged.next_due
        new.entry, is_next = self.merged.add(grid, self.on_due(new), now=self.now)
        assert is_next == (grid.next_after(self.now) < earliest)
        self.scheduled.append(new)

    @rule(data=st.data())
    @precondition(lambda self: len(self.scheduled) > 1)
    def remove(self, data: st.DataObject) -> None:
        removed = self.scheduled.pop(data.draw(st.integers(1, len(self.scheduled) - 1)))
        assert removed.entry
        self.merged.remove(removed.entry)

    @rule(duration=st.integers(0, 30))
    def time_passes(self, duration: int) -> None:
        self.now += duration

    @rule()
    def look(self) -> None:
        self.looked = self.now
        assert self.merged.call_due(self.now) == self.merged.next_due > self.now

    @rule()
    def skip(self) -> None:
        self.merged.skip_until(self.now)
        for scheduled in self.scheduled:
            scheduled.since, scheduled.counted, scheduled.last_due = self.now, 0, None

    @invariant()
    def each_due_time_counts_once(self) -> None:
        for scheduled in self.scheduled:
            grid, end = scheduled.grid, max(self.looked, scheduled.since)
            due_times = range(grid.next_after(scheduled.since), end + 1, grid.interval)
            assert scheduled.counted == len(due_times)
            assert scheduled.last_due == (due_times[-1] if due_times else None)

    @invariant()
    def the_next_due_time_is_that_of_a_grid_that_is_not_removed(self) -> None:
        assert self.merged.next_due == min(
            scheduled.grid.next_after(max(self.looked, scheduled.since))
            for scheduled in self.scheduled
        )


TestMergedGrid = MergedGridMachine.TestCase
TestMergedGrid.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)


def test_calls_have_the_order_of_due_times() -> None:
    """Grids that came due are called by due time, those with the same one in the order added."""
    calls = list[str]()
    merged = MergedGrid(Grid(30, 100), lambda _due, _missed: calls.append("c"), now=0)
    merged.add(Grid(10, 100), lambda _due, _missed: calls.append("a"), now=0)
    merged.add(Grid(20, 100), lambda _due, _missed: calls.append("b"), now=0)
    merged.add(Grid(30, 100), lambda _due, _missed: calls.append("d"), now=0)
    merged.call_due(40)
    assert calls == ["a", "b", "c", "d"]


def test_a_call_that_raises_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """The exception is in the log, and both grids continue."""

    def fail(_due: int, _missed: int) -> None:
        raise RuntimeError("a bug")

    calls = list[int]()
    merged = MergedGrid(Grid(10, 100), fail, now=0)
    merged.add(Grid(20, 100), lambda due, _missed: calls.append(due), now=0)
    merged.call_due(50)
    merged.call_due(150)
    assert calls == [20, 120]
    assert len(caplog.messages) == 2
    assert "a bug" in caplog.text


def test_a_call_may_change_the_grids() -> None:
    """A function that removes the grid that is due next, and adds another one."""
    calls = list[str]()
    entries = list[GridEntry]()

    def change(_due: int, _missed: int) -> None:
        calls.append("change")
        merged.remove(entries.pop())
        merged.add(Grid(15, 100), lambda _due, _missed: calls.append("added"), now=10)

    merged = MergedGrid(Grid(10, 1000), change, now=0)
    entry, _ = merged.add(Grid(12, 100), lambda _due, _missed: calls.append("removed"), now=0)
    entries.append(entry)
    merged.call_due(20)
    assert calls == ["change", "added"]


def test_removed_grids_do_not_accumulate() -> None:
    """Reloads that replace all grids do not let the heap grow, although none comes due."""
    hour = 3600 * NS_PER_SECOND
    merged = MergedGrid(Grid(0, NS_PER_SECOND), lambda _due, _missed: None, now=0)
    entries = list[GridEntry]()
    for _ in range(20):
        for entry in entries:
            merged.remove(entry)
        entries = [
            merged.add(Grid(hour - 1 - number, hour), lambda _due, _missed: None, now=0)[0]
            for number in range(100)
        ]
        assert len(merged._heap) <= 2 * 101
