"""Recorder of one step in one process of the load generator: counts by second, for the reports."""

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from probe.load.concurrency import ConcurrencyIntegral
from probe.load.measurement import Counts, add_values, no_requests
from probe.load.objective import LoadObjective, latest_good_seconds
from probe.result import Reason, Result
from probe.result_batch import ResultBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """State of a step in one process. Times are seconds from the start of the step."""

    seconds: Mapping[int, Counts]
    """Counts of the seconds that have changed since the last report."""
    complete_until: float
    """All requests that were due before this time are good or bad for each objective."""
    in_flight: int
    """Requests in flight now."""


class StepRecorder:
    """Counts the requests of one step by the second in which they were due. Thread-safe.

    Times are seconds from the start of the step.
    """

    def __init__(self, objectives: Sequence[LoadObjective], first_due: float) -> None:
        """`first_due` is the time at which the first request is due."""
        self._objectives = objectives
        self._latest_good = tuple(map(latest_good_seconds, objectives))
        self._lock = threading.Lock()
        self._next_due = first_due
        # Due times of the requests whose result is not counted, by their numbers, ascending.
        self._in_flight: dict[int, float] = {}
        # Results that are not counted yet: number of the request, delay of its start, result.
        self._pending = ResultBatch[tuple[int, float, Result]]()
        self._requests = 0
        self._seconds: dict[int, Counts] = {}
        self._changed: set[int] = set()
        self._concurrency = ConcurrencyIntegral()
        self._integrals: dict[int, float] = {}

    def start(self, due: float, next_due: float) -> int:
        """Count a request that starts. Return its number.

        `next_due` is the due time of the request after it.
        """
        with self._lock:
            self._next_due = next_due
            self._counts(due).offered += 1
            self._requests += 1
            self._in_flight[self._requests] = due
            self._concurrency.increase(due)
            return self._requests

    def drop(self, due: float, next_due: float) -> None:
        """Count a request that is not sent, because too many are in flight. It is bad."""
        with self._lock:
            self._next_due = next_due
            counts = self._counts(due)
            counts.offered += 1
            counts.dropped += 1
            _judge(counts, [False] * len(self._objectives))

    def fail_start(self, number: int, lag_seconds: float) -> None:
        """Count a started request that this process could not send. It is no event."""
        with self._lock:
            due = self._in_flight.pop(number)
            counts = self._counts(due)
            counts.completed += 1
            counts.failures[Reason.INTERNAL] += 1
            counts.latency_seconds += lag_seconds
            counts.lags.observe(lag_seconds)
            self._concurrency.decrease(due + lag_seconds)

    def finish(self, number: int, lag_seconds: float, result: Result) -> None:
        """Count the result of a request that started `lag_seconds` after it was due."""
        if self._pending.append((number, lag_seconds, result)):
            with self._lock:
                self._count_pending()

    def report(self, now: float, *, end: float = math.inf) -> Report:
        """Return the state of the step at the time `now`.

        Counts of seconds after `end`, the time of the last request, are not in the report.
        """
        with self._lock:
            self._count_pending()
            overdue = self._overdue(now)
            integrals = self._concurrency.take(now)
            self._integrals |= integrals
            changed = self._changed | overdue.keys() | integrals.keys()
            seconds = {
                second: self._snapshot(second, overdue.get(second, ()))
                for second in changed
                if second <= now and second < end
            }
            self._changed.clear()
            return Report(
                seconds=seconds,
                complete_until=min(self._first_pending(now), self._next_due, now, end),
                in_flight=len(self._in_flight),
            )

    def _count_pending(self) -> None:
        """Count pending results. The caller holds the lock. An exception ends the load test."""
        for result in self._pending.drain():
            self._count(*result)

    def _count(self, number: int, lag_seconds: float, result: Result) -> None:
        verdicts = self._verdicts(result, lag_seconds)
        latency = lag_seconds + result.latency
        reported = result.reported_tokens
        tokens = (reported.input or 0) + (reported.output or 0)
        due = self._in_flight.pop(number)
        counts = self._counts(due)
        counts.completed += 1
        counts.latency_seconds += latency
        counts.tokens += tokens
        counts.lags.observe(lag_seconds)
        _judge(counts, verdicts)
        if result.reason:
            counts.failures[result.reason] += 1
        else:
            _count_success(counts, result, latency)
        # Not the time of this call: the work after the response is not part of the latency.
        self._concurrency.decrease(due + latency)

    def _counts(self, due: float) -> Counts:
        second = int(due)
        self._changed.add(second)
        if second not in self._seconds:
            self._seconds[second] = no_requests(len(self._objectives))
        return self._seconds[second]

    def _verdicts(self, result: Result, lag_seconds: float) -> list[bool | None]:
        if result.reason and not result.reason.counts_against_slo:
            return [None] * len(self._objectives)
        return [objective.is_good(result, lag_seconds) for objective in self._objectives]

    def _overdue(self, now: float) -> dict[int, list[list[bool | None]]]:
        """Return the verdicts about each request in flight that is too late, by second."""
        overdue: dict[int, list[list[bool | None]]] = {}
        for due in self._in_flight.values():
            age = now - due
            verdicts = [False if age > latest else None for latest in self._latest_good]
            if False not in verdicts:
                break  # All later ones are younger.
            overdue.setdefault(int(due), []).append(verdicts)
        return overdue

    def _snapshot(self, second: int, overdue: Sequence[Sequence[bool | None]]) -> Counts:
        """Return a copy of the counts of `second`, with the requests that are overdue."""
        counts = no_requests(len(self._objectives))
        if second in self._seconds:
            counts.add(self._seconds[second])
        for verdicts in overdue:
            _judge(counts, verdicts)
        counts.in_flight_seconds = self._integrals[second]
        return counts

    def _first_pending(self, now: float) -> float:
        """Return the due time of the first request in flight that can still be good."""
        latest = max(self._latest_good, default=math.inf)
        return next((due for due in self._in_flight.values() if now - due <= latest), math.inf)


def _judge(counts: Counts, verdicts: Sequence[bool | None]) -> None:
    """Count whether a request is good for each objective. None: it does not count for it."""
    # Lists, and nothing for the usual good verdicts: two generators take more than twice as long.
    counts.events = tuple(
        [
            count + (verdict is not None)
            for count, verdict in zip(counts.events, verdicts, strict=True)
        ]
    )
    if False in verdicts:
        counts.bad = tuple(
            [
                count + (verdict is False)
                for count, verdict in zip(counts.bad, verdicts, strict=True)
            ]
        )


def _count_success(counts: Counts, result: Result, latency_seconds: float) -> None:
    counts.latencies.observe(latency_seconds)
    add_values(counts.phases, result.phases)
    add_values(counts.components, result.server)
