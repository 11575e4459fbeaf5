"""Due times as they reach the runners: late looks, suspension, heartbeat, and hangs."""

import threading
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from probe.clock import NS_PER_SECOND, Clock
from probe.result import SkipReason
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.grid import GridTrigger
from probe.scheduler.run_state import RunState
from probe.scheduler.runner import CompiledProbe, ProbeRunner
from probe.scheduler.scheduler import ProbeScheduler
from probe.threads import Task
from tests.builders import make_probe, make_result
from tests.fakes import FakeProber
from tests.scheduler.harness import RunnerHarness

pytestmark = pytest.mark.timing


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
    harness = RunnerHarness(tmp_path, interval="100ms")
    harness.look_after(1.0)
    before = harness.counts.ticks
    calls = 0
    original = GridTrigger.get_next_fire_time

    def counted(*args: Any) -> datetime:
        nonlocal calls
        calls += 1
        return original(*args)

    # Only the triggers of this scheduler: another one may still run in a thread of this process.
    for job in harness.scheduler.apscheduler.get_jobs():
        monkeypatch.setattr(job.trigger, "get_next_fire_time", partial(counted, job.trigger))
    harness.look_after(8 * 3600.0)
    assert harness.counts.ticks - before == 288_000
    assert harness.counts.skipped[SkipReason.LATE] >= 288_000 - 1
    jobs = 2  # the probe and the heartbeat
    assert calls <= 3 * jobs


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
