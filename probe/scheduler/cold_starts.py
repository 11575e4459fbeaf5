"""Cold starts: results of a service that was scaled to zero, or whose model was not loaded.

They do not count in objectives, because a client that arrives at a warm service does not see them.
"""

import dataclasses
import threading
from collections import deque
from statistics import median

from probe.clock import NS_PER_SECOND, Clock, nanoseconds
from probe.config.cold import Cold
from probe.config.units import format_duration
from probe.result import Failure, Reason, Result

# Failed cold starts in a row for longer than this are an outage. They count.
MAX_COLD_SECONDS = 300.0

# Latencies of warm successes whose median is compared, and the smallest number for a comparison.
MEDIAN_RESULTS = 31
MIN_MEDIAN_RESULTS = 5


class ColdStarts:
    """Recognises the cold starts of one probe, and lets its service scale to zero. Thread-safe."""

    def __init__(self, cold: Cold | None, clock: Clock) -> None:
        self._now = clock.monotonic
        self._lock = threading.Lock()
        self._cold: Cold | None = None
        self._warm_latencies: deque[float] = deque(maxlen=MEDIAN_RESULTS)
        # When the last run ended (monotonic ns).
        self._last_end: int | None = None
        self._last_is_inferred = False
        # When the first of the last failed cold starts in a row began (monotonic ns).
        self._failing_since: int | None = None
        # When the next deliberate cold start is due (monotonic ns).
        self._next_probe = 0
        self.update(cold)

    def update(self, cold: Cold | None) -> None:
        """Use another config."""
        with self._lock:
            if cold != self._cold and cold:
                self._next_probe = self._now() + nanoseconds(cold.interval)
            self._cold = cold

    @property
    def is_silent(self) -> bool:
        """Whether no request is sent at present, so that the service scales to zero."""
        with self._lock:
            return self._is_silent(self._now())

    def admits(self, due: int) -> bool:
        """Return whether the tick at `due` (monotonic ns) may run.

        After the time without requests, the first tick that runs is the deliberate cold start.
        """
        with self._lock:
            if self._is_silent(due):
                return False
            if self._cold and due >= self._next_probe:
                self._next_probe = due + nanoseconds(self._cold.interval)
            return True

    def apply(self, result: Result) -> Result:
        """Return `result` with whether it is a cold start, and whether it counts."""
        with self._lock:
            cold = self._cold
            if cold is None or result.reason is Reason.INTERNAL:
                return result
            now = self._now()
            start = now - nanoseconds(result.latency)
            is_inferred = not result.cold and self._is_slow_after_idle(cold, result, start)
            is_cold = bool(result.cold) or is_inferred
            row_start = self._row_start(start)
            self._last_end = now
            self._last_is_inferred = is_inferred
            self._failing_since = row_start if is_cold and result.failure else None
            if not is_cold:
                if result.failure is None:
                    self._warm_latencies.append(result.latency)
                return result
        if cold.count or (now - row_start) / NS_PER_SECOND > MAX_COLD_SECONDS:
            return dataclasses.replace(result, cold=True)
        return _excluded(result)

    def _is_silent(self, now: int) -> bool:
        """Return whether no request is sent at `now` (monotonic ns). The caller holds the lock."""
        if self._cold is None or not self._cold.probe or self._cold.after_idle is None:
            return False
        return self._next_probe - nanoseconds(self._cold.after_idle) <= now < self._next_probe

    def _is_slow_after_idle(self, cold: Cold, result: Result, start: int) -> bool:
        """Return whether the first result after `after_idle` is slower than the warm ones.

        Not twice in a row: the first request has started the service.
        """
        if cold.after_idle is None or self._last_end is None:
            return False
        is_first = start - self._last_end >= nanoseconds(cold.after_idle)
        if not is_first or self._last_is_inferred:
            return False
        if len(self._warm_latencies) < MIN_MEDIAN_RESULTS:
            return False
        return result.latency >= cold.multiple * median(self._warm_latencies)

    def _row_start(self, start: int) -> int:
        """Return when the row of failed cold starts began that a cold start at `start` continues.

        After a gap of more than MAX_COLD_SECONDS, it is not known what the service did meanwhile,
        so a new row begins.
        """
        if self._failing_since is None or self._last_end is None:
            return start
        has_gap = start - self._last_end > nanoseconds(MAX_COLD_SECONDS)
        return start if has_gap else self._failing_since


def _excluded(result: Result) -> Result:
    """Return a cold start that does not count. A failure gets the reason `cold`."""
    if result.failure is None:
        return dataclasses.replace(result, cold=True, is_excluded=True)
    cause = f"{result.failure.reason}: {result.failure.detail}"
    detail = (
        f"cold start ({cause}); after {format_duration(MAX_COLD_SECONDS)} of cold starts it counts"
    )
    failure = Failure(reason=Reason.COLD, detail=detail)
    return dataclasses.replace(result, cold=True, failure=failure)
