"""The results of a scripted probe over time. Times are seconds since the first scrape."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from probe.result import STREAM_SIGNALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of one tick. Without `counts_against_slo` it reaches no histogram."""

    latency: float
    success: bool = False
    counts_against_slo: bool = True
    lag: float = 0
    """Seconds from the due time to the start of the run."""
    skip_reason: str = ""
    """Why the tick has no run; empty if it has one."""
    reason: str = ""
    """Why the run failed; empty if it succeeded."""
    first_token: float | None = None
    per_token: float | None = None
    """Times of a successful stream; None if unknown."""

    def seconds(self, signal: str) -> float | None:
        """Return the value of a signal. A failure has its latency in each."""
        if signal == "latency" or not self.success:
            return self.latency
        return self.first_token if signal == "time_to_first_token" else self.per_token


GOOD = Outcome(latency=0.1, success=True)
SLOW = Outcome(latency=0.8, success=True)
REFUSED = Outcome(latency=0.001, reason="refused")
TIMEOUT = Outcome(latency=5, reason="first_byte_timeout")
STARTUP = Outcome(latency=0.001, counts_against_slo=False, reason="startup")
INTERNAL = Outcome(latency=0, counts_against_slo=False, reason="internal")
PAUSED = Outcome(latency=inf, counts_against_slo=False, skip_reason="paused")
OVER_BUDGET = Outcome(latency=inf, counts_against_slo=False, skip_reason="budget")
FOR_COLD_START = Outcome(latency=inf, counts_against_slo=False, skip_reason="cold")
COLD_START = Outcome(latency=4, counts_against_slo=False, success=True)
LOADING = Outcome(latency=0.001, counts_against_slo=False, reason="cold")
OVERLAP = Outcome(latency=inf, counts_against_slo=False, skip_reason="overlap")
LATE_START = Outcome(latency=0.1, success=True, lag=0.15)
LATE_SKIP = Outcome(latency=inf, counts_against_slo=False, skip_reason="late")
HUNG = Outcome(latency=inf)

# From each time on, the outcomes of the ticks; several outcomes alternate.
Script = Mapping[float, tuple[Outcome, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """An objective that the config contains from `since` to `until`."""

    slo: str = "fast"
    target: float = 0.99
    threshold: str = "0.5"
    signal: str = "latency"
    alert: str = "page"
    since: float = -inf
    until: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A probe whose ticks have the outcomes in `script`."""

    script: Script
    name: str = "sentiment"
    interval: float = 5
    timeout: float = 5
    objectives: tuple[Objective, ...] = (Objective(),)
    buckets: tuple[str, ...] = ("0.25", "0.5", "1.0", "+Inf")
    phases: tuple[str, ...] = ()
    """Phases of a success; each takes as long as the whole request."""
    histogram_resets: tuple[float, ...] = ()
    """When a reload resets the histograms."""
    url: str = "http://model:8080/predict"
    down: str = ""
    """Level of ModelDown; empty for a daemon that does not export it."""
    alert_labels: Mapping[str, str] = field(default_factory=dict)
    certificates: Mapping[float, float] = field(default_factory=dict)
    """From each time on, when the certificate expires."""

    versions: Mapping[float, str] = field(default_factory=dict)
    """From each time on, the version that the endpoint reports."""

    @property
    def has_budget(self) -> bool:
        return any(OVER_BUDGET in outcomes for outcomes in self.script.values())

    @property
    def measures_cold_starts(self) -> bool:
        return any(FOR_COLD_START in outcomes for outcomes in self.script.values())

    streams: bool = False
    """Whether the responses are streams, with the metrics of their signals."""

    @property
    def signals(self) -> tuple[str, ...]:
        return ("latency", *STREAM_SIGNALS) if self.streams else ("latency",)

    def outcome(self, due: float) -> Outcome:
        """Return the outcome of the tick that is due at `due`."""
        start = max((time for time in self.script if time <= due), default=min(self.script))
        outcomes = self.script[start]
        return outcomes[int((due - start) // self.interval) % len(outcomes)]
