"""Exemplars: the trace of one request that was counted in a bucket (OpenMetrics 1.0)."""

from collections.abc import Mapping
from typing import NamedTuple

from probe.metrics.exposition import format_value
from probe.result import Result, Signal


class Exemplar(NamedTuple):
    """The trace of a request that ended at `timestamp` (Unix seconds)."""

    trace_id: str
    timestamp: float

    def text(self, value: float) -> str:
        """Return the end of the line of a bucket, after its count; `value` is the observation.

        The time is required: without it, each scrape would store the exemplar again.
        """
        # Nanoseconds: a sum such as 0.15622784099999998 was measured as 0.156227841.
        seconds = format_value(round(value, 9))
        return f' # {{trace_id="{self.trace_id}"}} {seconds} {self.timestamp:.3f}'


def find_exemplars(
    result: Result, thresholds: Mapping[Signal, float], now: float
) -> Mapping[Signal, Exemplar]:
    """Return the exemplar of `result`, which ended at `now` (Unix seconds), for each bad signal.

    A failure is bad for all signals, a success for those that exceed `thresholds` (seconds).
    """
    if result.trace_id is None:
        return {}
    exemplar = Exemplar(result.trace_id, now)
    if result.failure:
        return dict.fromkeys(Signal, exemplar)
    return {
        signal: exemplar
        for signal, threshold in thresholds.items()
        if (result.seconds(signal) or 0.0) > threshold
    }
