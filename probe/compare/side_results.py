"""The results of one side of a comparison."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from probe.result import Result, ResultKind, Signal, classify_result


@dataclass(slots=True, kw_only=True)
class SideResults:
    """Counts and times of the requests of one side."""

    name: str
    """The name of the side."""
    thresholds: Mapping[Signal, float]
    """The largest good value (seconds) of each signal that has an objective."""
    requests: int = 0
    """Number of requests, without cold starts and failures that are not the endpoint's."""
    not_counted: int = 0
    """Number of failures that are not the endpoint's."""
    cold: int = 0
    """Number of cold starts. They are not in `requests`, even with `cold: {count: true}`."""
    is_bad: list[bool] = field(default_factory=list)
    """Whether each of `requests` was bad, in the order in which they ended."""
    bad_by_reason: Counter[str] = field(default_factory=Counter)
    """Failures by reason, and successes that are slower than a threshold as `slow`."""
    times: Mapping[Signal, list[float]] = field(
        default_factory=lambda: {signal: [] for signal in Signal}
    )
    """Times of the successes (seconds) by signal, in the order in which they ended."""

    @property
    def bad(self) -> int:
        """Number of requests that failed or were slow."""
        return self.bad_by_reason.total()

    def add(self, result: Result) -> None:
        """Count `result`."""
        if result.cold:
            self.cold += 1
            return
        kind = classify_result(result, self.thresholds)
        if kind is ResultKind.NOT_COUNTED:
            self.not_counted += 1
            return
        self.requests += 1
        self.is_bad.append(kind is not ResultKind.GOOD)
        if result.failure:
            self.bad_by_reason[result.failure.reason] += 1
            return
        for signal, times in self.times.items():
            seconds = result.seconds(signal)
            if seconds is not None:
                times.append(seconds)
        if kind is ResultKind.SLOW:
            self.bad_by_reason[ResultKind.SLOW] += 1
