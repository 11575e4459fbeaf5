"""A queue in virtual time as the endpoint of a load test, and the search for its limit."""

import random
from collections.abc import Callable, Iterator, Sequence
from heapq import heapreplace
from itertools import groupby
from math import floor

from probe.load.arrivals import Arrivals, due_times
from probe.load.measurement import Counts, LatencyHistogram, StepMeasurement
from probe.load.objective import LoadObjective, latest_good_seconds
from probe.load.search import Search, SearchOptions, SearchResult
from probe.load.step import StepPlan, run_step
from probe.result import Component, Phase

WARM_UP_SECONDS = 5.0

# Return the service time of one request (seconds).
ServiceTime = Callable[[random.Random], float]


def exponential(mean_seconds: float) -> ServiceTime:
    """Return exponential service times: the queue M/M/c."""
    return lambda rng: rng.expovariate(1 / mean_seconds)


def constant(seconds: float) -> ServiceTime:
    """Return equal service times: the queue M/D/c."""
    return lambda _: seconds


class SimulatedQueue:
    """A load generator and its endpoint, which has `servers` servers and one queue.

    All requests succeed. Each step begins with an empty queue. Measurements have whole seconds only
    whose requests are all good or bad.
    """

    def __init__(
        self,
        servers: int,
        service_time: ServiceTime,
        objectives: Sequence[LoadObjective],
        rng: random.Random,
    ) -> None:
        """`objectives` have thresholds of the latency, or none."""
        self._servers = servers
        self._service_time = service_time
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
            step.advance(min(floor(step.time) + 1.0, until))
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
        arrivals = due_times(Arrivals.POISSON, rate, index=0, processes=1, rng=self._rng)
        return _SimulatedStep(
            arrivals, self._servers, lambda: self._service_time(self._rng), self._latest_good
        )


# Due time, start of the service and end of a request (seconds).
_Request = tuple[float, float, float]


class _SimulatedStep:
    """One step. Times are seconds from its start."""

    def __init__(
        self,
        arrivals: Iterator[float],
        servers: int,
        service_time: Callable[[], float],
        latest_good: Sequence[float],
    ) -> None:
        self.time = 0.0
        self._arrivals = arrivals
        self._next_due = next(arrivals)
        self._service_time = service_time
        # The time from which each server is free, as a heap.
        self._free = [0.0] * servers
        self._latest_good = latest_good
        self._seconds: list[Counts] = []
        self._in_flight: list[_Request] = []

    def measurement(self, judged_until: float) -> StepMeasurement:
        return StepMeasurement(
            seconds=tuple(self._seconds[: floor(judged_until)]),
            judged_until=judged_until,
            in_flight=len(self._in_flight),
        )

    def advance(self, until: float) -> None:
        """Simulate until `until`, which is at most the end of the current second."""
        if self.time == len(self._seconds):
            self._seconds.append(Counts())
        counts = self._seconds[-1]
        waited_before = self._waited_seconds(self.time)
        requests = self._arrive(until)
        bad = (sum(end - due > limit for due, _, end in requests) for limit in self._latest_good)
        counts.add(
            Counts(
                offered=len(requests),
                events=(len(requests),) * len(self._latest_good),
                bad=tuple(bad),
            )
        )
        self._in_flight += requests
        waited = self._complete(until) + self._waited_seconds(until)
        counts.in_flight_seconds += waited - waited_before
        self.time = until

    def drain(self) -> None:
        """Complete the requests in flight. No more are due."""
        self.time = max((end for _, _, end in self._in_flight), default=self.time)
        self._complete(self.time)

    def _arrive(self, until: float) -> list[_Request]:
        """Return the requests that are due before `until`, each with its end."""
        arrivals, service_time, free = self._arrivals, self._service_time, self._free
        due, requests = self._next_due, []
        while due < until:
            start = max(due, free[0])
            end = start + service_time()
            heapreplace(free, end)
            requests.append((due, start, end))
            due = next(arrivals)
        self._next_due = due
        return requests

    def _complete(self, until: float) -> float:
        """Count the requests that end until `until`, and return the sum of their latencies."""
        ended = [request for request in self._in_flight if request[2] <= until]
        self._in_flight = [request for request in self._in_flight if request[2] > until]
        for second, requests in groupby(ended, key=lambda request: int(request[0])):
            self._seconds[second].add(_results(list(requests)))
        return sum(end - due for due, _, end in ended)

    def _waited_seconds(self, time: float) -> float:
        """Return the time from the due times of all requests in flight until `time`."""
        return sum(time - due for due, _, _ in self._in_flight)


def _results(requests: Sequence[_Request]) -> Counts:
    """Return the counts of requests that have ended."""
    latencies = [end - due for due, _, end in requests]
    latency_seconds = sum(latencies)
    queue_seconds = sum(start - due for due, start, _ in requests)
    histogram = LatencyHistogram()
    for latency in latencies:
        histogram.observe(latency)
    return Counts(
        completed=len(requests),
        latencies=histogram,
        latency_seconds=latency_seconds,
        phases={Phase.WAIT: latency_seconds},
        components={
            Component.QUEUE: queue_seconds,
            Component.COMPUTE: latency_seconds - queue_seconds,
        },
    )


def search(
    queue: SimulatedQueue, objectives: Sequence[LoadObjective], options: SearchOptions
) -> SearchResult:
    """Return the result of the search for the highest rate of `queue`."""
    return Search(
        options,
        plan_search=lambda rate: StepPlan.search(rate, objectives, WARM_UP_SECONDS),
        plan_confirmation=lambda rate, seconds_left: StepPlan.confirmation(
            rate, objectives, WARM_UP_SECONDS, seconds_left=seconds_left
        ),
        run_step=lambda plan: run_step(queue, plan, objectives, lambda *_: None),
        now=queue.now,
    ).run()
