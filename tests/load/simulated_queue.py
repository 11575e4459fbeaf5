"""A queue in virtual time as the endpoint of a load test, and the search for its limit."""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heapreplace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from probe.demo.batch_queue import BATCH_ITEM_SECONDS, BATCH_OVERHEAD_SECONDS, BatchSettings
from probe.load.measurement import (
    BUCKET_RATIO,
    MIN_BUCKET_SECONDS,
    Counts,
    LatencyHistogram,
    StepMeasurement,
)
from probe.load.objective import LoadObjective, latest_good_seconds
from probe.load.search import Search, SearchOptions, SearchResult
from probe.load.step import StepPlanner, run_step
from probe.result import Component, Phase

# The requests of this time are simulated at once.
BLOCK_SECONDS = 10.0

# More than the number of the bucket of a day.
MAX_BUCKETS = 10_000

Floats: TypeAlias = NDArray[np.float64]

# Return the service times of a number of requests (seconds).
ServiceTimes = Callable[[np.random.Generator, int], list[float]]

# Yield blocks of due times (seconds) for a number of requests per second.
ArrivalModel = Callable[[float, np.random.Generator], Iterator[list[float]]]

# Due times, starts of the service and ends of requests (seconds).
Requests = tuple[list[float], list[float], list[float]]

# Yield the requests with these due times, which are in blocks, in order. The queue is empty first.
QueueModel = Callable[[Iterable[list[float]], np.random.Generator], Iterator[Requests]]


def exponential(mean_seconds: float) -> ServiceTimes:
    """Return exponential service times: the queue M/M/c."""
    return lambda rng, count: rng.exponential(mean_seconds, count).tolist()


def constant(seconds: float) -> ServiceTimes:
    """Return equal service times: the queue M/D/c."""
    return lambda _, count: [seconds] * count


def poisson_arrivals(rate: float, rng: np.random.Generator) -> Iterator[list[float]]:
    """Yield blocks of due times (seconds) of a Poisson process with `rate` requests per second."""
    last = 0.0
    while True:
        due = last + rng.exponential(1 / rate, math.ceil(rate * BLOCK_SECONDS)).cumsum()
        yield due.tolist()
        last = due[-1]


def uniform_arrivals(rate: float, _: np.random.Generator) -> Iterator[list[float]]:
    """Yield blocks of due times (seconds) at equal distances."""
    size = math.ceil(rate * BLOCK_SECONDS)
    for first in itertools.count(0, size):
        yield (np.arange(first, first + size) / rate).tolist()


def servers(number: int, service_times: ServiceTimes) -> QueueModel:
    """Return a queue with `number` servers."""

    def process(blocks: Iterable[list[float]], rng: np.random.Generator) -> Iterator[Requests]:
        # The time from which each server is free, as a heap.
        free = [0.0] * number
        for due in blocks:
            starts, ends = [], []
            for at, seconds in zip(due, service_times(rng, len(due)), strict=True):
                start = max(at, free[0])
                end = start + seconds
                heapreplace(free, end)
                starts.append(start)
                ends.append(end)
            yield due, starts, ends

    return process


def batches(settings: BatchSettings) -> QueueModel:
    """Return the queue of the demo's model, which processes requests in batches.

    `BatchQueue` of the demo has the same times. It needs four times as long.
    """
    size, max_wait = settings.max_batch_size, settings.max_wait_seconds

    def process(blocks: Iterable[list[float]], _: np.random.Generator) -> Iterator[Requests]:
        idle_since = 0.0
        waiting: list[float] = []
        for block in blocks:
            waiting += block
            starts: list[float] = []
            ends: list[float] = []
            first = 0
            # With this many requests, later ones cannot change the next batch.
            while first + size <= len(waiting):
                ready = min(waiting[first] + max_wait, waiting[first + size - 1])
                start = max(idle_since, ready)
                last = first + 1
                while last < first + size and waiting[last] <= start:
                    last += 1
                taken = last - first
                idle_since = start + BATCH_OVERHEAD_SECONDS + taken * BATCH_ITEM_SECONDS
                starts += [start] * taken
                ends += [idle_since] * taken
                first = last
            due, waiting = waiting[:first], waiting[first:]
            yield due, starts, ends

    return process


class SimulatedQueue:
    """A load generator and its endpoint, which is a queue.

    All requests succeed. Each step begins with an empty queue. Measurements have whole seconds only
    whose requests are all good or bad.
    """

    def __init__(
        self,
        model: QueueModel,
        objectives: Sequence[LoadObjective],
        rng: np.random.Generator,
        arrivals: ArrivalModel = poisson_arrivals,
    ) -> None:
        """`objectives` have thresholds of the latency, or none."""
        self._model = model
        self._arrivals = arrivals
        self._latest_good = [latest_good_seconds(objective) for objective in objectives]
        self._max_threshold = max(
            (objective.threshold_seconds or 0.0 for objective in objectives), default=0.0
        )
        self._rng = rng
        self._ended_steps_seconds = 0.0
        self._step = self._new_step(rate=1.0)

    def now(self) -> float:
        """Return the virtual time (seconds)."""
        return self._ended_steps_seconds + self._step.time

    def start(self, rate: float) -> None:
        """Begin a step with `rate` requests per second."""
        self._step = self._new_step(rate)

    def measure(self, until: float) -> StepMeasurement:
        """Simulate the step until the time `until` (seconds)."""
        step = self._step
        while step.time < until:
            step.advance(min(math.floor(step.time) + 1.0, until))
        return step.measurement(max(0.0, until - self._max_threshold))

    def stop(self) -> StepMeasurement:
        """Complete the requests in flight."""
        step = self._step
        until = step.time
        step.drain()
        self._ended_steps_seconds += step.time
        self._step = self._new_step(rate=1.0)
        return step.measurement(until)

    def _new_step(self, rate: float) -> "_SimulatedStep":
        blocks = self._arrivals(rate, self._rng)
        return _SimulatedStep(self._model(blocks, self._rng), self._latest_good)


class _SimulatedStep:
    """One step. Times are seconds from its start.

    Distributions of latencies, phases and components are only counted at the end.
    """

    def __init__(self, blocks: Iterator[Requests], latest_good: Sequence[float]) -> None:
        self.time = 0.0
        self._blocks = blocks
        self._latest_good = latest_good
        self._seconds: list[Counts] = []
        # The requests from `time` on, those in flight, and those that have ended: rows as in
        # `Requests`.
        self._next: Floats = np.empty((3, 0))
        self._in_flight: Floats = np.empty((3, 0))
        self._ended: list[Floats] = []
        self._waited_seconds = 0.0

    def measurement(self, complete_until: float) -> StepMeasurement:
        return StepMeasurement(
            seconds=tuple(self._seconds[: math.floor(complete_until)]),
            complete_until=complete_until,
            in_flight=self._in_flight.shape[1],
        )

    def advance(self, until: float) -> None:
        """Simulate until `until`, which is at most the end of the current second."""
        if self.time == len(self._seconds):
            self._seconds.append(Counts())
        requests = self._arrive(until)
        latencies = requests[2] - requests[0]
        waited_before = self._waited_seconds
        self._in_flight = np.concatenate((self._in_flight, requests), axis=1)
        ended_seconds = self._complete(until)
        self._waited_seconds = float((until - self._in_flight[0]).sum())
        self._seconds[-1].add(
            Counts(
                offered=len(latencies),
                events=(len(latencies),) * len(self._latest_good),
                bad=tuple(int((latencies > limit).sum()) for limit in self._latest_good),
                in_flight_seconds=ended_seconds + self._waited_seconds - waited_before,
            )
        )
        self.time = until

    def drain(self) -> None:
        """Complete the requests in flight. No more are due."""
        self.time = float(self._in_flight[2].max(initial=self.time))
        self._complete(self.time)
        self._count_distributions()

    def _arrive(self, until: float) -> Floats:
        """Return the requests that are due before `until`."""
        while not self._next.size or self._next[0, -1] < until:
            self._next = np.concatenate((self._next, next(self._blocks)), axis=1)
        count = int(np.searchsorted(self._next[0], until))
        requests, self._next = self._next[:, :count], self._next[:, count:]
        return requests

    def _complete(self, until: float) -> float:
        """Count the requests that end until `until`, and return the sum of their latencies."""
        is_ended = self._in_flight[2] <= until
        ended, self._in_flight = self._in_flight[:, is_ended], self._in_flight[:, ~is_ended]
        self._ended.append(ended)
        latencies = ended[2] - ended[0]
        seconds = ended[0].astype(int)
        for second, latency in zip(seconds.tolist(), latencies.tolist(), strict=True):
            counts = self._seconds[second]
            counts.completed += 1
            counts.latency_seconds += latency
        return float(latencies.sum())

    def _count_distributions(self) -> None:
        due, starts, ends = np.concatenate(self._ended, axis=1)
        second = due.astype(int)
        waits = np.bincount(second, weights=starts - due, minlength=len(self._seconds))
        histograms = _histograms(second, ends - due)
        for number, (counts, wait) in enumerate(zip(self._seconds, waits.tolist(), strict=True)):
            counts.latencies = LatencyHistogram(histograms[number])
            counts.phases = {Phase.WAIT: counts.latency_seconds}
            counts.components = {
                Component.QUEUE: wait,
                Component.COMPUTE: counts.latency_seconds - wait,
            }


def _histograms(second: NDArray[np.int_], latencies: Floats) -> dict[int, dict[int, int]]:
    """Return the counts of the buckets of LatencyHistogram for each second."""
    ratios = np.maximum(latencies, MIN_BUCKET_SECONDS) / MIN_BUCKET_SECONDS
    buckets = np.ceil(np.log(ratios) / math.log(BUCKET_RATIO) - 1e-9).astype(int)
    keys, counts = np.unique(second * MAX_BUCKETS + buckets, return_counts=True)
    histograms: dict[int, dict[int, int]] = defaultdict(dict)
    for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
        number, bucket = divmod(key, MAX_BUCKETS)
        histograms[number][bucket] = count
    return histograms


def search(
    queue: SimulatedQueue,
    objectives: Sequence[LoadObjective],
    options: SearchOptions,
    *,
    latency_seconds: float = 0.1,
) -> SearchResult:
    """Return the result of the search for the highest rate of `queue`.

    `latency_seconds` is the usual latency of single requests.
    """
    return Search(
        options,
        StepPlanner(objectives=objectives, latency_seconds=latency_seconds),
        run_step=lambda plan: run_step(queue, plan, objectives, lambda *_: None),
        now=queue.now,
    ).run()
