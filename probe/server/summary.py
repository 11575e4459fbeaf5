"""State of a probe, and what the pages and the API report about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from probe.config.schema import Probe
from probe.history.history import ProbeHistory
from probe.history.objectives import ObjectiveStatus, StatusWindow
from probe.history.quantiles import PhaseTimes, phase_quantiles, quantiles
from probe.history.result_codec import ResultSummary
from probe.result import Phase, Reason, Result, ResultKind, classify_result


class ProbeState(StrEnum):
    """State of a probe by its last result, the most severe first. The values are in the API."""

    FAILED = "failed"
    """The last result is a failure that counts against objectives."""
    NEVER_ANSWERED = "never_answered"
    """No success yet, and failures do not count yet: the startup grace is running."""
    NOT_MEASURED = "not_measured"
    """The last run failed because of the daemon or its host."""
    SLOW = "slow"
    """The last result is a success that misses the latency of an objective."""
    PAUSED = "paused"
    """The daemon is paused: the last result is old."""
    PENDING = "pending"
    """No result yet."""
    OK = "ok"
    """The last result is a success, and within the latency of all objectives."""


# State by the kind of the last result, unless that is a failure during the startup grace.
_STATES = {
    ResultKind.GOOD: ProbeState.OK,
    ResultKind.SLOW: ProbeState.SLOW,
    ResultKind.FAILED: ProbeState.FAILED,
    ResultKind.NOT_COUNTED: ProbeState.NOT_MEASURED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSummary:
    """State of one probe. `quantiles` (seconds by rank) cover the retained successes."""

    history: ProbeHistory
    name: str
    state: ProbeState
    last: Result | None
    quantiles: Mapping[float, float]
    successes: int

    @property
    def probe(self) -> Probe:
        return self.history.probe

    @property
    def objectives(self) -> Sequence[ObjectiveStatus]:
        return self.history.objectives

    @property
    def missed(self) -> bool:
        """Whether an objective was missed over the last 5 minutes."""
        return any(status.met(StatusWindow.FIVE_MINUTES) is False for status in self.objectives)

    @property
    def has_recent_results(self) -> bool:
        """Whether an objective has results in the last 5 minutes."""
        return any(status.met(StatusWindow.FIVE_MINUTES) is not None for status in self.objectives)

    @property
    def covered_seconds(self) -> float:
        """Seconds since counting began, at most 30 days."""
        return max((status.covered_seconds for status in self.objectives), default=0.0)


def summarise(history: ProbeHistory, *, paused: bool) -> ProbeSummary:
    """Return the summary of a probe. `paused` is whether the daemon is paused."""
    results = history.summaries()
    latencies = [result.latency for result in results if result.reason is None]
    return ProbeSummary(
        history=history,
        name=history.probe.name,
        state=ProbeState.PAUSED if paused else _state(results, history.probe),
        last=history.last(),
        quantiles=quantiles(latencies),
        successes=len(latencies),
    )


def _state(results: Sequence[ResultSummary], probe: Probe) -> ProbeState:
    """Return the state after `results`, which are in the order of their arrival."""
    if not results:
        return ProbeState.PENDING
    last = results[-1]
    if last.reason is Reason.STARTUP:
        return ProbeState.NEVER_ANSWERED
    return _STATES[classify_result(last.reason, last.latency, probe.strictest_latency)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeDetails:
    """All retained results of one probe."""

    summary: ProbeSummary
    recent: Sequence[Result]
    slowest: Sequence[Result]
    failures: Sequence[Result]
    phases: Mapping[Phase, PhaseTimes]


def read_details(history: ProbeHistory, *, paused: bool) -> ProbeDetails:
    """Return all retained results of a probe."""
    recent = history.recent()
    return ProbeDetails(
        summary=summarise(history, paused=paused),
        recent=recent,
        slowest=history.slowest(),
        failures=history.failures(),
        phases=phase_quantiles(recent),
    )
