"""Recognises cold starts: requests that waited until a service, or its model, was started.

They do not count in objectives, because a client of a running service does not experience them.
"""

import dataclasses
import threading
from statistics import median

from probe.clock import NS_PER_SECOND, Clock, nanoseconds
from probe.config.response_settings import Cold
from probe.config.units import format_duration
from probe.result import Failure, Reason, Result

# Cold starts that fail for longer than this, without another result, are an outage. They count in
# objectives. The time begins at the end of the first one: a single cold start may take longer.
MAX_COLD_SECONDS = 300.0

# Number of the last warm successes whose median latency is compared, and the smallest number that
# is sufficient for a comparison.
MEDIAN_RESULTS = 31
MIN_MEDIAN_RESULTS = 5


class ColdStarts:
    """Recognises the cold starts of one probe, and decides when its service may scale to zero.

    Thread-safe.
    """

    def __init__(self, cold: Cold | None, clock: Clock) -> None:
        self._now = clock.monotonic
        self._lock = threading.Lock()
        self._cold: Cold | None = None
        # A list: an empty deque takes ten times the memory, and most probes have no `cold`.
        self._warm_latencies = list[float]()
        self._in_flight = 0
        # When the last request ended (monotonic ns).
        self._last_end: int | None = None
        self._last_is_inferred = False
        # When the first of consecutive failed cold starts ended (monotonic ns).
        self._failing_since: int | None = None
        # When the next deliberate cold start is due (monotonic ns).
        self._next_deliberate = 0
        self.update(cold)

    def update(self, cold: Cold | None) -> None:
        """Use another config from now on."""
        with self._lock:
            if cold != self._cold and cold:
                self._next_deliberate = self._now() + nanoseconds(cold.interval)
            self._cold = cold

    @property
    def is_suspended(self) -> bool:
        """Whether no request may start now, so that the service scales to zero."""
        return self.is_suspended_at(self._now())

    def is_suspended_at(self, now: int) -> bool:
        """Return whether no request may start at `now` (monotonic ns).

        The next deliberate cold start may have to wait for requests that were in flight when this
        time began: the service needs `after_idle` without any.
        """
        if self._cold is None:  # no lock for most probes
            return False
        with self._lock:
            cold = self._cold
            if cold is None or not cold.probe or cold.after_idle is None:
                return False
            after_idle = nanoseconds(cold.after_idle)
            if now < self._next_deliberate - after_idle:
                return False
            idle = self._idle_time(now)
            return now < self._next_deliberate or (idle is not None and idle < after_idle)

    def start_request(self) -> int | None:
        """Note that a request starts now. Return the time without requests before it (ns).

        It is 0 if another request is in flight, and None before the first one. This request becomes
        the deliberate cold start if one is due.
        """
        with self._lock:
            now = self._now()
            idle = self._idle_time(now)
            self._in_flight += 1
            if self._cold and now >= self._next_deliberate:
                self._next_deliberate = now + nanoseconds(self._cold.interval)
            return idle

    def end_request(self) -> None:
        """Note that a request has ended, after `apply` of its result."""
        with self._lock:
            self._in_flight -= 1

    def apply(self, result: Result, idle: int | None) -> Result:
        """Return `result` with whether it is a cold start, and whether it counts.

        `idle` is the time without requests before it, from `start_request`.
        """
        if self._cold is None:  # no lock for most probes
            return result
        with self._lock:
            cold = self._cold
            if cold is None or result.reason is Reason.INTERNAL:
                return result
            now = self._now()
            is_inferred = not result.cold and self._is_slow_after_idle(cold, result, idle)
            is_cold = bool(result.cold) or is_inferred
            failing_since = self._first_failure(now, now - nanoseconds(result.latency))
            self._last_end = now
            self._last_is_inferred = is_inferred
            self._failing_since = failing_since if is_cold and result.failure else None
            if not is_cold:
                if result.failure is None:
                    self._warm_latencies.append(result.latency)
                    del self._warm_latencies[:-MEDIAN_RESULTS]
                return result
        if cold.counts_in_objectives or (now - failing_since) / NS_PER_SECOND > MAX_COLD_SECONDS:
            return dataclasses.replace(result, cold=True)
        return _excluded(result)

    def _idle_time(self, now: int) -> int | None:
        """Return the time since the last request ended (ns).

        It is 0 with requests in flight, and None before the first request. The caller holds the
        lock.
        """
        if self._in_flight:
            return 0
        return None if self._last_end is None else now - self._last_end

    def _is_slow_after_idle(self, cold: Cold, result: Result, idle: int | None) -> bool:
        """Return whether `result` is the first one after `after_idle`, and slow for a warm service.

        False if the previous result was recognised in this way: its request started the service.
        """
        if cold.after_idle is None or idle is None or idle < nanoseconds(cold.after_idle):
            return False
        if self._last_is_inferred or len(self._warm_latencies) < MIN_MEDIAN_RESULTS:
            return False
        return result.latency >= cold.slow_factor * median(self._warm_latencies)

    def _first_failure(self, now: int, start: int) -> int:
        """Return when the first of consecutive failed cold starts ended (monotonic ns).

        It is `now`, the end of this request, if there is none before it. After more than
        MAX_COLD_SECONDS without a request until its `start`, this one is the first: the service may
        have worked meanwhile.
        """
        if self._failing_since is None or self._last_end is None:
            return now
        has_gap = start - self._last_end > nanoseconds(MAX_COLD_SECONDS)
        return now if has_gap else self._failing_since


def _excluded(result: Result) -> Result:
    """Return the cold start `result` as not counted. A failure gets the reason `cold`."""
    if result.failure is None:
        return dataclasses.replace(result, cold=True, is_excluded=True)
    cause = f"{result.failure.reason}: {result.failure.detail}"
    detail = (
        f"cold start, not counted in objectives ({cause}); cold starts that fail for more than"
        f" {format_duration(MAX_COLD_SECONDS)} are counted"
    )
    failure = Failure(reason=Reason.COLD, detail=detail)
    return dataclasses.replace(result, cold=True, failure=failure)
