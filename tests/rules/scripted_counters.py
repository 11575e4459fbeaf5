"""What has been counted of a probe since its histograms began. Times are seconds."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import inf

from tests.rules.scripted_probe import Outcome, Probe

LAGS = ("0.1", "0.25", "0.5", "+Inf")
SKIPS = ("late", "overlap", "paused")


@dataclass(frozen=True)
class Life:
    """One probe in one life of its histograms: from `start` to `end`."""

    probe: Probe
    start: float
    end: float
    grace: float

    def answers(self, time: float, success: bool, le: str = "+Inf") -> int:
        """How many so far were as fast as that."""
        return bisect_right(self._answers[success, le], time)

    def last_success(self, time: float) -> float | None:
        seen = self.answers(time, success=True)
        return self._answers[True, "+Inf"][seen - 1] if seen else None

    def ticks(self, time: float) -> int:
        return bisect_right(self._ticks, time, key=lambda tick: tick[0])

    def skipped(self, time: float, reason: str) -> int:
        return bisect_right(self._skipped[reason], time)

    def started(self, time: float, le: str) -> int:
        """How many runs so far were started as punctually as that."""
        return bisect_right(self._started[le], time)

    @cached_property
    def suspended_until(self) -> float:
        successes = [time for time, outcome in self._runs if outcome.success]
        return min([self.start + self.grace, *successes])

    @cached_property
    def _answers(self) -> dict[tuple[bool, str], list[float]]:
        times = defaultdict(list)
        for time, outcome in self._runs:
            if outcome.charged and time >= self.suspended_until:
                for le in {*self.probe.buckets, "+Inf"}:
                    if outcome.latency <= float(le):
                        times[outcome.success, le].append(time)
        return times

    @cached_property
    def _skipped(self) -> dict[str, list[float]]:
        times = defaultdict(list)
        for due, outcome in self._ticks:
            times[outcome.skipped].append(due)
        return times

    @cached_property
    def _started(self) -> dict[str, list[float]]:
        runs = [(due, it.lag) for due, it in self._ticks if not it.skipped]
        return {le: [due for due, lag in runs if lag <= float(le)] for le in LAGS}

    @cached_property
    def _runs(self) -> list[tuple[float, Outcome]]:
        """(time, outcome) of what has finished, by time."""
        runs = [(due + outcome.latency, outcome) for due, outcome in self._ticks]
        return sorted((run for run in runs if run[0] < self.end), key=lambda run: run[0])

    @cached_property
    def _ticks(self) -> list[tuple[float, Outcome]]:
        """A scheduler that hangs lets none come due."""
        return [tick for tick in self._grid() if tick[1].latency < inf or tick[1].skipped]

    def _grid(self) -> Iterator[tuple[float, Outcome]]:
        due = -(-self.start // self.probe.interval) * self.probe.interval
        while due < self.end:
            yield due, self.probe.outcome(due)
            due += self.probe.interval
