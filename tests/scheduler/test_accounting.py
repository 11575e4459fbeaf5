"""Every tick is accounted for, also under overload, stalls, clock jumps and shutdown."""

import dataclasses
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from probe.config.settings import Probe
from probe.result import Result, SkipReason
from probe.scheduler.accounting import ProbeTicks, TickAccounting, TickCounts
from probe.scheduler.grid import Grid
from probe.scheduler.run_state import RunState
from probe.scheduler.runner import CompiledProbe, ProbeRunner, Schedule
from probe.scheduler.scheduler import ProbeScheduler
from tests.builders import make_probe, make_result
from tests.fakes import (
    FakeProber,
    FakeTime,
    ManualExecutor,
    ManualPlainScheduler,
    ManualScheduler,
)


@cache
def any_probe() -> Probe:
    with tempfile.TemporaryDirectory() as directory:
        return make_probe(Path(directory), startup_grace="0s")


@dataclass
class ActiveRun:
    """Run that waits on its thread until it is released."""

    name: str
    thread: threading.Thread
    released: threading.Event


class TickMachine(RuleBasedStateMachine):
    """Scheduler with probes of any interval and timeout."""

    scheduler_type = ManualScheduler

    def __init__(self) -> None:
        super().__init__()
        self.active: list[ActiveRun] = []

    @initialize(
        schedules=st.lists(
            st.tuples(st.sampled_from([0.1, 0.5, 1.0, 10.0]), st.sampled_from([0.05, 1.0, 5.0])),
            min_size=1,
            max_size=4,
        )
    )
    def build(self, schedules: list[tuple[float, float]]) -> None:
        self.time, self.executor = FakeTime(), ManualExecutor()
        self.anchor = self.time.monotonic
        self.schedules = {
            f"p{number}": Schedule(interval=interval, timeout=timeout)
            for number, (interval, timeout) in enumerate(schedules)
        }
        self.run_state, self.accounting = RunState(), TickAccounting()
        self.started: SimpleQueue[threading.Event | None] = SimpleQueue()
        self.lags: list[tuple[str, float]] = []
        self.recorded: Counter[str] = Counter()
        self.stopped = False
        self.scheduler = ProbeScheduler(self.time.clock(), scheduler_type=self.scheduler_type)
        for name in self.schedules:
            self.scheduler.add(self.runner(name))
        self.scheduler.start()
        self.looked = self.time.monotonic

    def runner(self, name: str) -> ProbeRunner:
        schedule = self.schedules[name]
        return ProbeRunner(
            CompiledProbe(
                probe=dataclasses.replace(
                    any_probe(),
                    name=name,
                    interval=schedule.interval,
                    timeout=schedule.timeout,
                ),
                prober=FakeProber(lambda: self.run_until_released(name)),
                close=lambda: None,
            ),
            ticks=self.accounting.add_probe(name),
            sinks=[self],
            observe_lag=lambda lag: self.lags.append((name, lag)),
            run_state=self.run_state,
            executor=self.executor,
            clock=self.time.clock(),
        )

    def run_until_released(self, name: str) -> Result:
        released = threading.Event()
        self.started.put(released)
        released.wait()
        return make_result(probe=name)

    def record(self, result: Result) -> None:
        self.recorded[result.probe] += 1

    def teardown(self) -> None:
        for run in self.active:
            run.released.set()
            run.thread.join()

    @rule(seconds=st.floats(min_value=0, max_value=20))
    def time_passes_and_the_scheduler_looks(self, seconds: float) -> None:
        # The look may be late: the machine was suspended, or the process was stopped.
        self.time.advance(seconds)
        if not self.stopped:
            self.scheduler.apscheduler.run_due_jobs()
            self.looked = self.time.monotonic

    @rule(seconds=st.floats(min_value=-1e6, max_value=1e6))
    def wall_clock_is_set(self, seconds: float) -> None:
        self.time.step_wall(seconds)

    @rule(full=st.booleans())
    def threads_run_out_or_come_back(self, full: bool) -> None:
        self.executor.full = full

    @rule(paused=st.booleans())
    def the_daemon_is_paused_or_resumed(self, paused: bool) -> None:
        (self.run_state.pause if paused else self.run_state.resume)()

    @rule(data=st.data())
    @precondition(lambda self: self.executor.tasks)
    def a_thread_starts_a_task(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.executor.tasks) - 1))
        task = self.executor.tasks.pop(index)

        def work() -> None:
            task()
            self.started.put(None)

        thread = threading.Thread(target=work)
        thread.start()
        if released := self.started.get(timeout=5):
            name, _ = self.lags[-1]
            self.active.append(ActiveRun(name, thread, released))
        else:
            thread.join()

    @rule(data=st.data())
    @precondition(lambda self: self.active)
    def a_run_returns(self, data: st.DataObject) -> None:
        run = self.active.pop(data.draw(st.integers(0, len(self.active) - 1)))
        run.released.set()
        assert self.started.get(timeout=5) is None
        run.thread.join()

    @rule()
    @precondition(lambda self: not self.stopped)
    def the_daemon_stops(self) -> None:
        self.run_state.stop()
        self.scheduler.stop()
        self.stopped = True

    @rule()
    @precondition(lambda self: self.stopped)
    def the_daemon_gives_up_what_is_in_flight(self) -> None:
        self.accounting.close()

    @invariant()
    @precondition(lambda self: hasattr(self, "accounting"))
    def the_counts_balance(self) -> None:
        for name, counts in self.accounting.counts().items():
            assert counts.ticks == counts.runs + sum(counts.skipped.values()) + counts.in_flight
            assert counts.runs == self.recorded[name]
            assert counts.in_flight >= 0
            assert counts.in_flight <= self.schedules[name].max_in_flight

    @invariant()
    @precondition(lambda self: hasattr(self, "accounting"))
    def no_run_starts_late(self) -> None:
        for name, lag in self.lags:
            assert 0 <= lag <= self.schedules[name].max_start_delay_seconds

    @invariant()
    @precondition(lambda self: hasattr(self, "accounting"))
    def no_due_time_is_lost_or_made_up(self) -> None:
        for name, counts in self.accounting.counts().items():
            grid = Grid.for_probe(name, self.schedules[name].interval, anchor=self.anchor)
            assert counts.ticks == max(0, (self.looked - grid.first) // grid.interval + 1)


class PlainTickMachine(TickMachine):
    """The same with the code of APScheduler that `TickScheduler` replaces by a faster one."""

    scheduler_type = ManualPlainScheduler


TestTicks = TickMachine.TestCase
TestTicks.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)

TestPlainTicks = PlainTickMachine.TestCase
TestPlainTicks.settings = TestTicks.settings


Change = Callable[[TickAccounting, ProbeTicks], object]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _, ticks: ticks.skip(SkipReason.LATE), SkipReason.LATE),
        (lambda _, ticks: ticks.abandon(SkipReason.SHUTDOWN), SkipReason.SHUTDOWN),
        (lambda _, ticks: ticks.start(max_in_flight=1), SkipReason.OVERLAP),
        (lambda accounting, _: accounting.close(), SkipReason.SHUTDOWN),
    ],
    ids=["late", "shutdown before the start", "overlap", "given up"],
)
def test_skips_have_their_reason(change: Change, reason: SkipReason) -> None:
    """A tick that does not become a request is counted under its reason."""
    accounting = TickAccounting()
    ticks = accounting.add_probe("p")
    assert ticks.start(max_in_flight=1)
    change(accounting, ticks)
    skipped = accounting.counts()["p"].skipped
    assert {key: count for key, count in skipped.items() if count} == {reason: 1}


def test_a_snapshot_delays_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a snapshot is taken, ticks of all probes start and finish."""
    accounting = TickAccounting()
    all_ticks = [accounting.add_probe(name) for name in "ab"]
    counted, resume = threading.Event(), threading.Event()
    counts = ProbeTicks.counts

    def slow_counts(ticks: ProbeTicks) -> TickCounts:
        counted.set()
        assert resume.wait(5)
        return counts(ticks)

    monkeypatch.setattr(ProbeTicks, "counts", slow_counts)
    snapshot = threading.Thread(target=accounting.counts)
    snapshot.start()
    assert counted.wait(5)

    def run_all() -> None:
        for ticks in all_ticks:
            ticks.start(max_in_flight=1)
            ticks.finish()

    runs = threading.Thread(target=run_all)
    runs.start()
    runs.join(2)
    is_delayed = runs.is_alive()
    resume.set()
    snapshot.join()
    assert not is_delayed


def test_an_abandoned_run_does_not_finish() -> None:
    """A run that returns after it was given up is not counted twice."""
    accounting = TickAccounting()
    ticks = accounting.add_probe("p")
    ticks.start(max_in_flight=1)
    accounting.close()
    assert ticks.closed
    ticks.finish()
    assert accounting.counts()["p"].runs == 0


def test_a_name_that_is_used_again_starts_at_zero() -> None:
    """A run of a removed probe does not finish in the counts of a new probe of the same name."""
    accounting = TickAccounting()
    before = accounting.add_probe("p")
    before.start(max_in_flight=1)
    accounting.remove_probe("p")
    after = accounting.add_probe("p")
    after.start(max_in_flight=1)
    assert before.closed
    before.finish()
    assert (accounting.in_flight(), accounting.counts()["p"].runs) == (1, 0)
