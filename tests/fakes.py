"""Stand-ins that a test controls: the clocks, the executor, the scheduler's thread, the prober."""

from collections.abc import Callable
from dataclasses import dataclass, field

from apscheduler.schedulers.base import BaseScheduler

from probe.clock import NS_PER_SECOND, Clock
from probe.prober.prober import Prober
from probe.result import Result
from probe.scheduler.tick_scheduler import TickScheduler
from probe.threads import Task


@dataclass
class FakeTime:
    """Monotonic and wall clock (ns) that only the test moves."""

    monotonic: int = 5_000 * NS_PER_SECOND
    wall: int = 1_700_000_000 * NS_PER_SECOND

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.monotonic, wall=lambda: self.wall)

    def advance(self, seconds: float) -> None:
        self.monotonic += round(seconds * NS_PER_SECOND)
        self.wall += round(seconds * NS_PER_SECOND)

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock only."""
        self.wall += round(seconds * NS_PER_SECOND)


@dataclass
class ManualExecutor:
    """Keeps tasks until the test runs them. While `full`, it has no thread for a new task."""

    tasks: list[Task] = field(default_factory=list)
    full: bool = False

    def submit(self, task: Task) -> None:
        if self.full:
            raise RuntimeError("can't start new thread")
        self.tasks.append(task)


class ManualScheduler(TickScheduler):
    """Scheduler without its thread: it processes due jobs when the test calls `run_due_jobs`."""

    def start(self, paused: bool = False) -> None:
        BaseScheduler.start(self, paused)

    def shutdown(self, wait: bool = True) -> None:
        BaseScheduler.shutdown(self, wait)

    def wakeup(self) -> None:
        pass

    def run_due_jobs(self) -> None:
        self._process_jobs()


class ManualPlainScheduler(ManualScheduler):
    """Processes jobs with the code of APScheduler instead of that of `TickScheduler`."""

    def run_due_jobs(self) -> None:
        BaseScheduler._process_jobs(self)


class FakeProber(Prober):
    """Prober that sends no request: each run calls `run` of the test."""

    def __init__(self, run: Callable[[], Result]) -> None:
        self._fake_run = run

    def run(self, due: int | None = None) -> Result:  # noqa: ARG002
        return self._fake_run()
