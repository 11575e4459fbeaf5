"""The counters of a scripted probe between two resets. Times are seconds."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import inf

from tests.rules.scripted_probe import Outcome, Probe

LAG_BUCKETS = ("0.1", "0.25", "0.5", "+Inf")
SKIP_REASONS = ("late", "overlap", "paused", "budget", "cold")
FAILURE_REASONS = ("cold", "first_byte_timeout", "internal", "refused", "startup")


@dataclass(frozen=True)
class CounterLifetime:
    """The counters of `probe` from one reset, at `start`, to the next, at `end`."""

    probe: Probe
    start: float
    end: float
    startup_grace: float

    def results(self, time: float, success: bool, le: str = "+Inf", signal: str = "latency") -> int:
        """Return the number of results up to `time` with a signal of at most `le`."""
        return bisect_right(self._result_times[signal, success, le], time)

    def missing(self, time: float, signal: str) -> int:
        """Return the number of successes up to `time` without a value of `signal`."""
        return bisect_right(self._missing_times[signal], time)

    def last_success(self, time: float) -> float | None:
        successes = self.results(time, success=True)
        times = self._result_times["latency", True, "+Inf"]
        return times[successes - 1] if successes else None

    def ticks(self, time: float) -> int:
        return bisect_right(self._ticks, time, key=lambda tick: tick[0])

    def skipped(self, time: float, reason: str) -> int:
        return bisect_right(self._skip_times[reason], time)

    def failures(self, time: float, reason: str) -> int:
        """Return the number of failures with `reason` up to `time`."""
        return bisect_right(self._failure_times[reason], time)

    def started(self, time: float, le: str) -> int:
        """Return the number of runs up to `time` that started with a lag of at most `le`."""
        return bisect_right(self._start_times[le], time)

    @cached_property
    def suspended_until(self) -> float:
        """The end of the startup grace: the first success, if there is one within it."""
        successes = [time for time, outcome in self._runs if outcome.success]
        return min([self.start + self.startup_grace, *successes])

    @cached_property
    def _result_times(self) -> dict[tuple[str, bool, str], list[float]]:
        times = defaultdict(list)
        for time, outcome in self._runs:
            if outcome.counts_against_slo and time >= self.suspended_until:
                for signal, le in product(self.probe.signals, {*self.probe.buckets, "+Inf"}):
                    seconds = outcome.seconds(signal)
                    if seconds is not None and seconds <= float(le):
                        times[signal, outcome.success, le].append(time)
        return times

    @cached_property
    def _missing_times(self) -> dict[str, list[float]]:
        times = defaultdict(list)
        for time, outcome in self._runs:
            for signal in self.probe.signals:
                if outcome.success and outcome.seconds(signal) is None:
                    times[signal].append(time)
        return times

    @cached_property
    def _failure_times(self) -> dict[str, list[float]]:
        times = defaultdict(list)
        for time, outcome in self._runs:
            times[outcome.reason].append(time)
        return times

    @cached_property
    def _skip_times(self) -> dict[str, list[float]]:
        times = defaultdict(list)
        for due, outcome in self._ticks:
            times[outcome.skip_reason].append(due)
        return times

    @cached_property
    def _start_times(self) -> dict[str, list[float]]:
        runs = [(due, outcome.lag) for due, outcome in self._ticks if not outcome.skip_reason]
        return {le: [due for due, lag in runs if lag <= float(le)] for le in LAG_BUCKETS}

    @cached_property
    def _runs(self) -> list[tuple[float, Outcome]]:
        """Finished runs as (end, outcome), ordered by end."""
        runs = [(due + outcome.latency, outcome) for due, outcome in self._ticks]
        return sorted((run for run in runs if run[0] < self.end), key=lambda run: run[0])

    @cached_property
    def _ticks(self) -> list[tuple[float, Outcome]]:
        """Ticks as (due, outcome). While the scheduler hangs, no tick is due."""
        return [
            (due, outcome)
            for due, outcome in self._grid()
            if outcome.latency < inf or outcome.skip_reason
        ]

    def _grid(self) -> Iterator[tuple[float, Outcome]]:
        due = -(-self.start // self.probe.interval) * self.probe.interval
        while due < self.end:
            yield due, self.probe.outcome(due)
            due += self.probe.interval
