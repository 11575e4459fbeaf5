"""Sends the requests of one step in one process, each at its due time (open loop)."""

import logging
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from probe.clock import NS_PER_SECOND, Clock, nanoseconds
from probe.load.objective import LoadObjective
from probe.load.recorder import Report, StepRecorder
from probe.result import RunProbe
from probe.threads import Task

logger = logging.getLogger(__name__)


class TaskExecutor(Protocol):
    """Runs each task at once, on a separate thread: `ThreadCache`, except in tests."""

    def submit(self, task: Task) -> None: ...


class Permits(Protocol):
    """A number of permits that processes share: a semaphore of `multiprocessing`."""

    def acquire(self, block: bool = ...) -> bool: ...

    def release(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits that all processes share."""

    in_flight: Permits
    """One permit for each request that may be in flight."""
    requests: Permits | None
    """One permit for each request that may still be sent. None: no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """State of a step in one process."""

    report: Report
    sends_no_more: bool
    """Whether all requests of the step are sent."""
    is_limit_reached: bool
    """Whether the step has ended because no more requests may be sent."""
    bug: str | None
    """Type of an exception that is a bug of this program."""


class StepSender:
    """Starts each request of a step at its due time, whatever the earlier ones do.

    One thread at a time waits for the next due time. It then has another thread wait for the one
    after, and sends the request itself: handing the request to another thread would delay it.
    """

    def __init__(
        self,
        due_times: Iterator[float],
        *,
        epoch: int,
        objectives: Sequence[LoadObjective],
        run: RunProbe,
        limits: Limits,
        executor: TaskExecutor,
        clock: Clock,
    ) -> None:
        """`due_times` are seconds from `epoch` (monotonic ns), the start of the step."""
        self._due_times = due_times
        self._epoch = epoch
        self._run = run
        self._limits = limits
        self._executor = executor
        self._clock = clock
        self._next_due = next(due_times)
        self._recorder = StepRecorder(objectives, self._next_due)
        self._is_stopped = False
        # Released by `stop`. `Lock.acquire(timeout)` waits in C; `Event.wait` runs Python code,
        # which takes 7 µs and starts requests 10 to 20 µs later.
        self._stop_signal = threading.Lock()
        self._stop_signal.acquire()
        self._end = math.inf
        self._sends_no_more = False
        self._is_limit_reached = False
        self._bug: str | None = None

    def start(self) -> None:
        """Begin to wait for the first due time. Raises RuntimeError if there is no thread."""
        self._executor.submit(self._send_next)

    def stop(self, end: float) -> None:
        """Send no more requests. `end` is the end of the step (seconds from its start).

        Requests that are due before and have not been sent, because this process is late, are
        neither sent nor counted.
        """
        self._end = end
        if not self._is_stopped:
            self._is_stopped = True
            self._stop_signal.release()

    def state(self) -> StepState:
        """Return the state of the step now."""
        return StepState(
            report=self._recorder.report(max(0.0, self._now()), end=self._end),
            sends_no_more=self._sends_no_more,
            is_limit_reached=self._is_limit_reached,
            bug=self._bug,
        )

    def _send_next(self) -> None:
        """Send the next request, on a thread of the executor."""
        try:
            self._wait_and_send()
        except Exception as bug:
            logger.exception("bug: sending a request of the load test raised an exception")
            self._bug = type(bug).__name__

    def _wait_and_send(self) -> None:
        """Wait for the next due time, let another thread wait for the one after, and send."""
        while self._wait_until_due():
            due, self._next_due = self._next_due, next(self._due_times)
            if not self._limits.in_flight.acquire(block=False):
                self._recorder.drop(due, self._next_due)
                continue
            try:
                if not self._may_send():
                    break
                number = self._recorder.start(due, self._next_due)
                if self._hand_over():
                    self._send(number, due)
                    return
                self._recorder.fail_start(number, self._now() - due)
            finally:
                self._limits.in_flight.release()
        self._sends_no_more = True

    def _wait_until_due(self) -> bool:
        """Return True once the next request is due, and False if the step has been stopped."""
        while (left := self._next_due - self._now()) > 0:
            if self._stop_signal.acquire(timeout=left):
                self._stop_signal.release()  # another thread may be about to wait
                return False
        return not self._is_stopped

    def _may_send(self) -> bool:
        """Return whether the number of requests permits one more."""
        requests = self._limits.requests
        self._is_limit_reached = requests is not None and not requests.acquire(block=False)
        return not self._is_limit_reached

    def _hand_over(self) -> bool:
        """Have another thread wait for the next due time. Return False if there is no thread."""
        try:
            self._executor.submit(self._send_next)
        except RuntimeError:
            logger.exception("no thread for a request of the load test")
            return False
        return True

    def _send(self, number: int, due: float) -> None:
        lag = self._now() - due
        result = self._run(self._epoch + nanoseconds(due))
        self._recorder.finish(number, lag, result)

    def _now(self) -> float:
        """Return the time since the start of the step (seconds)."""
        return (self._clock.monotonic() - self._epoch) / NS_PER_SECOND
