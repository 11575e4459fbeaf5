"""Due times as they reach the runners: late looks, suspension, heartbeat, and hangs."""

import itertools
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from probe.clock import NS_PER_SECOND, Clock
from probe.result import SkipReason
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.merged_grid import OnDue
from probe.scheduler.run_state import RunState
from probe.scheduler.runner import CompiledProbe, ProbeRunner
from probe.scheduler.scheduler import ProbeScheduler
from probe.threads import Task
from tests.builders import make_probe, make_result
from tests.fakes import FakeProber, FakeTime, ManualScheduler
from tests.scheduler.harness import RunnerHarness

pytestmark = pytest.mark.timing

MANY_PROBES = 5_000


class Wakeups(ManualScheduler):
    """Counts how often the thread would be woken."""

    count = 0

    def wakeup(self) -> None:
        self.count += 1


def fake_runner(name: str, interval: float, on_due: OnDue) -> ProbeRunner:
    """Return what the scheduler uses of a runner."""
    probe = SimpleNamespace(name=name, interval=interval)
    return cast(ProbeRunner, SimpleNamespace(probe=probe, on_due=on_due))


class DueCounter:
    """Calls of many runners, by name of the probe."""

    def __init__(self) -> None:
        self.due: Counter[str] = Counter()

    def runner(self, name: str, interval: float) -> ProbeRunner:
        def on_due(_due: int, missed: int) -> None:
            self.due[name] += 1 + missed

        return fake_runner(name, interval, on_due)


def test_late_ticks_are_skipped_and_the_next_one_runs(tmp_path: Path) -> None:
    """After a stall every missed tick is `late`, all of them are counted, and probing goes on."""
    harness = RunnerHarness(tmp_path)
    harness.look_after(100.0)
    assert harness.counts.ticks == 100
    assert harness.counts.skipped[SkipReason.LATE] >= 99
    harness.look_after(1.0)
    assert harness.counts.ticks == 101
    assert harness.counts.in_flight == 101 - harness.counts.skipped[SkipReason.LATE]


def test_a_long_suspension_costs_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 8 h the 288,000 missed ticks are computed, not visited one by one."""
    calls = list[tuple[int, int]]()
    on_due = ProbeRunner.on_due

    def recorded(runner: ProbeRunner, due: int, missed: int) -> None:
        calls.append((due, missed))
        on_due(runner, due, missed)

    monkeypatch.setattr(ProbeRunner, "on_due", recorded)
    harness = RunnerHarness(tmp_path, interval="100ms")
    harness.look_after(1.0)
    before = harness.counts.ticks
    calls.clear()
    harness.look_after(8 * 3600.0)
    ((due, missed),) = calls
    assert 0 <= harness.time.monotonic - due < NS_PER_SECOND // 10
    assert missed == 288_000 - 1
    assert harness.counts.ticks - before == 288_000
    assert harness.counts.skipped[SkipReason.LATE] >= 288_000 - 1


def test_due_times_before_the_start_are_no_ticks() -> None:
    """A start that takes long loses nothing: the probes are scheduled from its end."""
    fake_time, counter = FakeTime(), DueCounter()
    scheduler = ProbeScheduler(fake_time.clock(), scheduler_type=ManualScheduler)
    scheduler.add(counter.runner("model", 1.0))
    fake_time.advance(3.0)
    scheduler.start()
    scheduler.apscheduler.run_due_jobs()
    assert counter.due["model"] == 0
    fake_time.advance(1.0)
    scheduler.apscheduler.run_due_jobs()
    assert counter.due["model"] == 1


def test_a_reload_of_many_probes_wakes_the_scheduler_rarely() -> None:
    """5,000 probes are added, rescheduled and removed. Only an earlier due time wakes it."""
    fake_time, counter = FakeTime(), DueCounter()
    scheduler = ProbeScheduler(fake_time.clock(), scheduler_type=Wakeups)
    scheduler.start()
    apscheduler = scheduler.apscheduler
    assert isinstance(apscheduler, Wakeups)
    runners = [counter.runner(f"model-{number}", 10.0) for number in range(MANY_PROBES)]
    for runner in runners:
        scheduler.add(runner)
    fake_time.advance(10.0)
    apscheduler.run_due_jobs()
    assert counter.due == Counter({runner.probe.name: 1 for runner in runners})
    for number in range(MANY_PROBES):
        scheduler.reschedule(counter.runner(f"model-{number}", 5.0))
    fake_time.advance(5.0)
    apscheduler.run_due_jobs()
    assert set(counter.due.values()) == {2}
    for number in range(MANY_PROBES - 1):
        scheduler.remove(f"model-{number}")
    fake_time.advance(5.0)
    apscheduler.run_due_jobs()
    assert counter.due.total() == 2 * MANY_PROBES + 1
    assert apscheduler.count < 50


def test_changes_by_other_threads_while_it_runs() -> None:
    """Probes that stay are called at every due time, and no probe after its removal."""
    counter, calls = DueCounter(), list[tuple[int, int]]()
    scheduler = ProbeScheduler(Clock())
    scheduler.add(fake_runner("stays", 0.01, lambda due, missed: calls.append((due, missed))))
    scheduler.start()
    late = list[str]()

    def change(thread: int) -> None:
        for number in range(100):
            name = f"model-{thread}-{number}"
            scheduler.add(counter.runner(name, 0.001))
            scheduler.reschedule(counter.runner(name, 0.002))
            time.sleep(0.002)
            scheduler.remove(name)
            before = counter.due[name]
            time.sleep(0.001)
            if counter.due[name] != before:
                late.append(name)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scheduler.alive
    scheduler.stop()
    assert late == []
    assert len(counter.due) > 100
    for (before, _), (due, missed) in itertools.pairwise(calls):
        assert due - before == (missed + 1) * NS_PER_SECOND // 100
    after = counter.due.total()
    time.sleep(0.05)
    assert counter.due.total() == after


def test_an_earlier_due_time_wakes_the_waiting_thread() -> None:
    """A probe that is added while the scheduler waits for its heartbeat is called in time."""
    counter = DueCounter()
    scheduler = ProbeScheduler(Clock())
    scheduler.start()
    try:
        time.sleep(0.05)
        began = time.monotonic()
        scheduler.add(counter.runner("model", 0.01))
        while not counter.due["model"]:
            assert time.monotonic() - began < 0.5
            time.sleep(0.005)
    finally:
        scheduler.stop()


def test_heartbeat(tmp_path: Path) -> None:
    """The scheduler is alive while it looks, whatever the intervals. After SIGCONT it is again."""
    harness = RunnerHarness(tmp_path, interval="1h")
    harness.look_after(1.0)
    harness.time.advance(9.0)
    assert harness.scheduler.alive
    harness.time.advance(2.0)
    assert not harness.scheduler.alive
    harness.look_after(0.0)
    assert harness.scheduler.alive


def test_a_hung_scheduler_is_noticed_and_can_be_stopped(tmp_path: Path) -> None:
    """The thread of APScheduler hangs in a call of the executor that does not return."""
    hung, release = threading.Event(), threading.Event()
    ahead = 0

    class StuckExecutor:
        def submit(self, _task: Task) -> None:
            hung.set()
            release.wait(10)

    clock = Clock(monotonic=lambda: time.monotonic_ns() + ahead)
    probe = make_probe(tmp_path, interval="100ms")
    runner = ProbeRunner(
        CompiledProbe(probe=probe, prober=FakeProber(make_result), close=lambda: None),
        ticks=TickAccounting().add_probe("model"),
        sinks=[],
        observe_lag=lambda _lag: None,
        run_state=RunState(),
        executor=StuckExecutor(),
        clock=clock,
    )
    scheduler = ProbeScheduler(clock)
    scheduler.add(runner)
    scheduler.start()
    try:
        assert hung.wait(5)
        assert scheduler.alive
        ahead = 11 * NS_PER_SECOND
        assert not scheduler.alive
        began = time.monotonic()
        scheduler.stop()
        assert time.monotonic() - began < 1
    finally:
        release.set()
