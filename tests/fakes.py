"""Stand-ins for what a test wants to hold in its own hands: the time, and who does the work."""

from dataclasses import dataclass, field

from apscheduler.schedulers.base import BaseScheduler

from probe.clock import SECOND, Clock
from probe.threads import Task


@dataclass
class FakeTime:
    """Two clocks that move only when told to."""

    monotonic: int = 5_000 * SECOND
    wall: int = 1_700_000_000 * SECOND

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.monotonic, wall=lambda: self.wall)

    def advance(self, seconds: float) -> None:
        self.monotonic += round(seconds * SECOND)
        self.wall += round(seconds * SECOND)

    def step_wall(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall += round(seconds * SECOND)


@dataclass
class FakeCrew:
    """Keeps the tasks until the test does them; `full` lets it have no thread for them."""

    tasks: list[Task] = field(default_factory=list)
    full: bool = False

    def submit(self, task: Task) -> None:
        if self.full:
            raise RuntimeError("can't start new thread")
        self.tasks.append(task)


class HandWound(BaseScheduler):  # type: ignore[misc]  # APScheduler ships no types
    """APScheduler itself, without its thread: it looks for due jobs when the test says so."""

    def shutdown(self, wait: bool = True) -> None:
        super().shutdown(wait)

    def wakeup(self) -> None:
        pass

    def look(self) -> None:
        self._process_jobs()
