"""Objectives of a load test, from the objectives of a probe and from flags."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from probe.config.flags import parse_slo
from probe.config.settings import Objective
from probe.config.units import (
    format_duration,
    format_percentage,
    parse_duration,
    parse_percentage,
)
from probe.result import Result, Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadObjective:
    """Share of requests that must be good at a rate. Failures are bad."""

    target: float
    """Ratio of requests that must be good, below 1."""
    signal: Signal = Signal.LATENCY
    threshold_seconds: float | None = None
    """The largest good value of the signal. None: every success is good."""
    uses_observed_share: bool = False
    """Whether the observed share of bad requests decides. A small share of errors would need
    thousands of requests as evidence."""

    @classmethod
    def of(cls, objective: Objective) -> Self:
        """Return an objective of a probe."""
        return cls(
            target=objective.target,
            signal=objective.signal,
            threshold_seconds=objective.threshold,
        )

    @classmethod
    def parse(cls, slo: str) -> Self:
        """Return the objective in the text of --slo: `95% < 120ms`. Raises ValueError."""
        keys = parse_slo(slo)
        target = parse_percentage(keys.pop("target"))
        if not 0 < target < 1:
            raise ValueError("no number of requests shows this target; write one such as 99%")
        if not keys:
            return cls(target=target)
        ((signal, threshold),) = keys.items()
        seconds = parse_duration(threshold)
        if seconds <= 0:
            raise ValueError("the time is 0; write one such as 500ms")
        return cls(target=target, signal=Signal(signal), threshold_seconds=seconds)

    @classmethod
    def error_limit(cls, ratio: float) -> Self:
        """Return the limit that at most `ratio` of the requests fail."""
        return cls(target=1 - ratio, uses_observed_share=True)

    @property
    def allowed(self) -> float:
        """The largest share of bad requests."""
        # 1 - 0.95 is a little more than 0.05.
        return round(1 - self.target, 12)

    @property
    def text(self) -> str:
        """The objective in the syntax of --slo: `95% < 120ms`."""
        if self.uses_observed_share:
            return f"errors <= {format_percentage(self.allowed)}"
        percentage = format_percentage(self.target)
        if self.threshold_seconds is None:
            return percentage
        signal = "" if self.signal is Signal.LATENCY else f"{self.signal} "
        return f"{percentage} {signal}< {format_duration(self.threshold_seconds)}"

    def is_good(self, result: Result, lag_seconds: float) -> bool | None:
        """Return whether a request is good that started `lag_seconds` after it was due.

        Its times count from when it was due. None for a success without a value of the signal.
        """
        if result.failure:
            return False
        if self.threshold_seconds is None:
            return True
        seconds = result.seconds(self.signal)
        if seconds is None:
            return None
        delay = 0.0 if self.signal is Signal.TIME_PER_OUTPUT_TOKEN else lag_seconds
        return seconds + delay <= self.threshold_seconds


def latest_good_seconds(objective: LoadObjective) -> float:
    """Return the time after which a request without a result is bad for `objective`.

    Only a deadline on the whole response is known to be missed before the result.
    """
    if objective.signal is Signal.LATENCY and objective.threshold_seconds is not None:
        return objective.threshold_seconds
    return math.inf


def describe(objectives: Iterable[LoadObjective]) -> str:
    """Return the objectives as one text: `95% < 120ms, errors <= 0.1%`."""
    return ", ".join(objective.text for objective in objectives)
