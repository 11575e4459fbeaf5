"""What happens when a probe comes due: run it, or say why not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from probe.clock import SECOND, Clock
from probe.result import SkipReason
from probe.scheduler.accounting import ProbeTicks
from probe.scheduler.run_state import RunState
from probe.threads import Task

MAX_START_DELAY_SECONDS = 1.0
"""Seconds after which a tick is late whatever the interval; below that, half the interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How often a probe runs and how long one run may take, in seconds."""

    interval: float
    timeout: float

    @property
    def latest_start(self) -> float:
        """Seconds after its due time at which a tick is too late to stand for that time."""
        return min(self.interval / 2, MAX_START_DELAY_SECONDS)

    @property
    def limit(self) -> int:
        """Runs that can be in flight at once while each keeps its deadline."""
        return int((self.timeout + self.latest_start) // self.interval) + 1


class Executor(Protocol):
    """Who runs a task at once on a thread of its own; `probe.threads.Workers` outside of tests."""

    def submit(self, task: Task) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A due time that became a run: the instant (nanoseconds, monotonic) and the lag (seconds)."""

    due: int
    lag: float


class Ticker:
    """Turns the due times of one probe into runs and enters each of them into its book."""

    def __init__(
        self,
        name: str,
        pace: Schedule,
        *,
        run: Callable[[Tick], None],
        unable: Callable[[Tick, Exception], None],
        gate: RunState,
        book: ProbeTicks,
        crew: Executor,
        clock: Clock,
    ) -> None:
        """`run` does the probe on a thread of the crew; `unable` records that there was none."""
        self.name = name
        self.pace = pace
        """May change while it ticks."""
        self._run = run
        self._unable = unable
        self._gate = gate
        self._book = book
        self._crew = crew
        self._clock = clock
        self._stopped = False

    def tick(self, due: int) -> None:
        """Enter one due time. Quick: it is called on the scheduler's own thread."""
        if skip := self._skip(due):
            self._book.skip(skip)
        elif self._book.begin(limit=self.pace.limit):
            self._hand_over(due)

    def stop(self) -> None:
        """What has not started by now will not start."""
        self._stopped = True

    def _skip(self, due: int) -> SkipReason | None:
        """Why a due time should not become a request now, if there is a reason."""
        if self._stopped:
            return SkipReason.SHUTDOWN
        late = self._lag(due) > self.pace.latest_start
        return self._gate.reason or (SkipReason.LATE if late else None)

    def _hand_over(self, due: int) -> None:
        try:
            self._crew.submit(lambda: self._start(due))
        except Exception as no_thread:  # noqa: BLE001  (whatever it is, the tick is in flight)
            self._unable(Tick(due=due, lag=self._lag(due)), no_thread)

    def _start(self, due: int) -> None:
        if skip := self._skip(due):
            self._book.abandon(skip)
        else:
            self._run(Tick(due=due, lag=self._lag(due)))

    def _lag(self, due: int) -> float:
        return (self._clock.monotonic() - due) / SECOND
