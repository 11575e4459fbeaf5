"""Load generator that divides the rate among several processes."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from types import TracebackType
from typing import Self

from probe.clock import NS_PER_SECOND, Clock, nanoseconds
from probe.load.arrivals import Arrivals
from probe.load.measurement import Counts, StepMeasurement, no_requests
from probe.load.objective import LoadObjective
from probe.load.step_sender import Limits, Permits, StepState
from probe.load.stop import LoadTestEnded, StopReason
from probe.load.worker import StartStep, StopStep, WorkerOptions
from probe.load.worker_process import FORK, WorkerProcess
from probe.result import RunProbe

# A step starts this long after the command, when all processes have it.
START_DELAY_SECONDS = 0.05

# Interval of reports during a step (seconds), without and with a limit of requests or tokens.
# Reports of all processes at once take 6 ms of CPU time, and delay the requests that are due then.
REPORT_INTERVAL_SECONDS = 1.0
LIMIT_CHECK_INTERVAL_SECONDS = 0.25

# The end of the last requests is checked this often.
DRAIN_INTERVAL_SECONDS = 0.05

# Requests may end this long after their timeout.
DRAIN_RESERVE_SECONDS = 1.0

# SEM_VALUE_MAX of Linux (sem_init(3)).
MAX_PERMITS = 2**31 - 1

# Threads of a process wait for each other, and for requests that another one prepares. With more
# processes than CPUs, the operating system decides instead, and delays are shorter: see
# `python -m bench.load_generator`. Half as many take 13 % less CPU time, but the 99th percentile of
# the delays was 1.4 to 3 times as high on a busy machine.
RATE_PER_PROCESS = 125.0
PROCESSES_PER_CPU = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The part of the rate that a generator has: part `index` (from 0) of `count` equal ones."""

    index: int = 0
    count: int = 1


WHOLE = Share()


def default_processes(max_rate: float) -> int:
    """Return the number of processes for up to `max_rate` requests per second on this machine."""
    needed = math.ceil(max_rate / RATE_PER_PROCESS)
    return min(needed, PROCESSES_PER_CPU * len(os.sched_getaffinity(0)))


class ProcessGenerator:
    """Sends requests at a constant mean rate, divided among processes: a `LoadGenerator`.

    Use it as a context manager, before the program starts threads: it forks the processes. If one
    of them fails, each method raises LoadGeneratorError.
    """

    def __init__(
        self,
        build_runner: Callable[[], RunProbe],
        objectives: Sequence[LoadObjective],
        *,
        processes: int,
        arrivals: Arrivals,
        timeout_seconds: float,
        max_in_flight: int,
        clock: Clock,
        seed: int,
        max_requests: int | None = None,
        max_tokens: int | None = None,
        share: Share = WHOLE,
    ) -> None:
        """Call `build_runner` in each process. It returns the function that sends a request.

        `timeout_seconds` is that of a request. `max_in_flight` limits the requests in flight:
        others are not sent, and count as bad. `max_requests` and `max_tokens` limit all steps
        together. The first is never exceeded, the second by the tokens of the requests in flight.
        The rate is that of all generators with a `share`.
        """
        self._build_runner = build_runner
        self._objectives = tuple(objectives)
        self._count = processes
        self._arrivals = arrivals
        self._drain_seconds = timeout_seconds + DRAIN_RESERVE_SECONDS
        self._max_in_flight = max_in_flight
        self._clock = clock
        self._seed = seed
        self._max_requests = max_requests
        self._max_tokens = max_tokens
        has_limits = max_requests is not None or max_tokens is not None
        self._report_seconds = (
            LIMIT_CHECK_INTERVAL_SECONDS if has_limits else REPORT_INTERVAL_SECONDS
        )
        self._share = share
        self._processes: list[WorkerProcess] = []
        self._steps = 0
        self._epoch = 0
        self._seconds: list[Counts] = []
        # Tokens of the steps that have ended.
        self._tokens = 0

    def __enter__(self) -> Self:
        limits = Limits(
            in_flight=_permits(self._max_in_flight),
            requests=None if self._max_requests is None else _permits(self._max_requests),
        )
        try:
            for number in range(self._count):
                options = WorkerOptions(
                    index=self._share.index * self._count + number,
                    processes=self._share.count * self._count,
                    objectives=self._objectives,
                    arrivals=self._arrivals,
                    seed=self._seed,
                    limits=limits,
                    clock=self._clock,
                )
                self._processes.append(
                    WorkerProcess(
                        self._build_runner, options, number=number + 1, others=self._processes
                    )
                )
            for process in self._processes:
                process.wait_until_ready()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """End the processes, also with requests in flight."""
        self._close()

    def start(self, rate: float) -> None:
        """Begin a step with `rate` requests per second."""
        self._steps += 1
        self._seconds = []
        self._epoch = self._clock.monotonic() + nanoseconds(START_DELAY_SECONDS)
        for process in self._processes:
            process.send(StartStep(number=self._steps, rate=rate, epoch=self._epoch))

    def measure(self, until: float) -> StepMeasurement:
        """Wait until the time `until` and return the measurement of the step up to now.

        Raises LoadTestEnded if a limit is reached: then no more requests are sent.
        """
        while True:
            self._wait(min(until - self._now(), self._report_seconds))
            self._update()
            self._check_limits()
            if self._now() >= until:
                return self._measurement()

    def stop(self) -> StepMeasurement:
        """End the step: send no more requests, and wait for those in flight."""
        end = max(0.0, self._now())
        deadline = end + self._drain_seconds
        for process in self._processes:
            process.send(StopStep(end=end))
        self._update()
        while self._now() < deadline and not all(process.is_drained for process in self._processes):
            self._wait(DRAIN_INTERVAL_SECONDS)
            self._update()
        self._tokens += self._step_tokens
        measurement = self._measurement()
        self._seconds = []
        return measurement

    @property
    def _states(self) -> list[StepState]:
        return [process.state for process in self._processes if process.state]

    @property
    def _step_tokens(self) -> int:
        return sum(counts.tokens for counts in self._seconds)

    def _now(self) -> float:
        """Return the time since the start of the step (seconds)."""
        return (self._clock.monotonic() - self._epoch) / NS_PER_SECOND

    def _wait(self, seconds: float) -> None:
        """Wait. Raises LoadGeneratorError if a process has ended."""
        ended = wait([process.sentinel for process in self._processes], max(0.0, seconds))
        for process in self._processes:
            if process.sentinel in ended:
                raise process.explain_end()

    def _update(self) -> None:
        """Get the state of the step from each process."""
        for process in self._processes:
            process.request_state()
        changed = set[int]().union(*(process.receive_state() for process in self._processes))
        for second in sorted(changed):
            counts = no_requests(len(self._objectives))
            for process in self._processes:
                if second in process.seconds:
                    counts.add(process.seconds[second])
            self._seconds[second : second + 1] = [counts]

    def _check_limits(self) -> None:
        if any(state.is_limit_reached for state in self._states):
            raise LoadTestEnded(StopReason.MAX_REQUESTS)
        tokens = self._tokens + self._step_tokens
        if self._max_tokens is not None and tokens >= self._max_tokens:
            raise LoadTestEnded(StopReason.MAX_TOKENS)

    def _measurement(self) -> StepMeasurement:
        reports = [state.report for state in self._states]
        return StepMeasurement(
            seconds=tuple(self._seconds),
            complete_until=min(report.complete_until for report in reports),
            in_flight=sum(report.in_flight for report in reports),
        )

    def _close(self) -> None:
        for process in self._processes:
            process.close()
        for process in self._processes:
            process.join()
        self._processes = []


def _permits(count: int) -> Permits:
    """Return a semaphore that all processes share."""
    return FORK.Semaphore(min(count, MAX_PERMITS))
