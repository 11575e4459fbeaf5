"""The results of one side of a comparison."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from probe.result import Reason, Result, ResultKind, Signal, classify_result


@dataclass(slots=True, kw_only=True)
class Sample:
    """Counts and latencies of the requests of one side."""

    thresholds: Mapping[Signal, float]
    """The largest good value (seconds) of each signal that has an objective."""
    requests: int = 0
    """Requests without those that are not counted."""
    not_counted: int = 0
    """Failures that are not the endpoint's."""
    slow: int = 0
    """Successes that are slower than a threshold."""
    failures: Counter[Reason] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    """Latencies of the successes (seconds)."""

    @property
    def bad(self) -> int:
        """Number of requests that failed or were slow."""
        return self.slow + self.failures.total()

    def add(self, result: Result) -> None:
        """Count `result`."""
        kind = classify_result(result, self.thresholds)
        if kind is ResultKind.NOT_COUNTED:
            self.not_counted += 1
            return
        self.requests += 1
        if result.failure:
            self.failures[result.failure.reason] += 1
            return
        self.latencies.append(result.latency)
        self.slow += kind is ResultKind.SLOW
