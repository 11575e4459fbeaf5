"""Sends the requests of two probes in turn, on one grid of due times.

Both sides then have the same conditions: if the network or a shared server is slow for a while,
about the same number of requests of A and B are slow.
"""

import random
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from statistics import median
from typing import Protocol

from probe.clock import NS_PER_SECOND, Clock, nanoseconds
from probe.result import Result, RunProbe
from probe.threads import Task

# Requests of each side that are sent first and not counted: they fill caches and pools.
WARM_UP_REQUESTS = 3

# Without a rate, the interval between two requests is at least this long.
MIN_INTERVAL_SECONDS = 0.1

# Maximum time between two checks of `stopped`, and between two calls of `on_progress`.
CHECK_INTERVAL_SECONDS = 0.5


class TaskExecutor(Protocol):
    """Runs each task at once, on a separate thread: `ThreadCache`."""

    def submit(self, task: Task) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementProgress:
    """State of a measurement: numbers of requests of both sides."""

    sent: int
    planned: int
    in_flight: int


def warm_up(runners: Sequence[RunProbe], stopped: threading.Event, clock: Clock) -> list[Result]:
    """Return the results of WARM_UP_REQUESTS of each side, sent one after the other.

    A single runner sends those of both sides. Once `stopped` is set, no more requests are sent.
    """
    results: list[Result] = []
    for _ in range(2 * WARM_UP_REQUESTS // len(runners)):
        for run in runners:
            if stopped.is_set():
                return results
            results.append(run(clock.monotonic()))
    return results


def default_interval(groups: Iterable[Sequence[Result]]) -> float:
    """Return the time between two requests (seconds), derived from the results of `warm_up`.

    `groups` are the results of each side, and those of neither. The time is the latency of the
    slowest group, so that requests rarely overlap, even if both sides share a server.
    """
    medians = [median(result.latency for result in group) for group in groups if group]
    return max([MIN_INTERVAL_SECONDS, *medians])


class InterleavedRun:
    """Sends rounds of requests, one of each probe in random order, each at its due time."""

    def __init__(
        self,
        runners: Sequence[RunProbe],
        *,
        rounds: int,
        interval_seconds: float,
        record: Callable[[Result], None],
        on_progress: Callable[[MeasurementProgress], None],
        stopped: threading.Event,
        executor: TaskExecutor,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        """`record` is called on the thread of `run` with each result.

        Once `stopped` is set, no more requests are sent.
        """
        self._runners = runners
        self._rounds = rounds
        self._interval = nanoseconds(interval_seconds)
        self._record = record
        self._on_progress = on_progress
        self._stopped = stopped
        self._executor = executor
        self._clock = clock
        self._rng = rng
        self._results: SimpleQueue[Result | Exception] = SimpleQueue()
        self._sent = 0
        self._completed = 0

    def run(self) -> None:
        """Send the requests, and record all results. Raises a bug of a runner."""
        due = self._clock.monotonic()
        for runner in self._order():
            self._wait_until(due)
            if self._stopped.is_set():
                break
            self._send(runner, due)
            due += self._interval
        while self._completed < self._sent:
            self._record_next(CHECK_INTERVAL_SECONDS)

    def _order(self) -> list[RunProbe]:
        """Return the runner of each request.

        The order in a round is random: with a fixed order, a periodic task of the server could slow
        down the same side each time.
        """
        count = len(self._runners)
        return [
            runner for _ in range(self._rounds) for runner in self._rng.sample(self._runners, count)
        ]

    def _wait_until(self, due: int) -> None:
        """Record results until `due` (monotonic ns), or until the end if it is stopped."""
        while (left := due - self._clock.monotonic()) > 0 and not self._stopped.is_set():
            self._record_next(min(left / NS_PER_SECOND, CHECK_INTERVAL_SECONDS))

    def _send(self, runner: RunProbe, due: int) -> None:
        def task() -> None:
            try:
                self._results.put(runner(due))
            except Exception as bug:  # noqa: BLE001  (raised by `_record_next`)
                self._results.put(bug)

        self._sent += 1
        try:
            self._executor.submit(task)
        except RuntimeError:  # the system has no thread left
            task()

    def _record_next(self, timeout_seconds: float) -> None:
        """Record a result, if there is one within `timeout_seconds`."""
        try:
            result = self._results.get(timeout=timeout_seconds)
        except Empty:
            pass
        else:
            self._completed += 1
            if isinstance(result, Exception):
                raise result
            self._record(result)
        self._on_progress(
            MeasurementProgress(
                sent=self._sent,
                planned=len(self._runners) * self._rounds,
                in_flight=self._sent - self._completed,
            )
        )
