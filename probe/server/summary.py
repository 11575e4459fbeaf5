"""State of a probe, and what the pages and the API report about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from probe.config.settings import Probe
from probe.history.objectives import ObjectiveStatus, StatusWindow
from probe.history.quantiles import PhaseQuantiles, phase_quantiles, quantiles
from probe.history.result_codec import ResultSummary
from probe.history.snapshots import ProbeHistory, ProbeOverview
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
    """The last result is a success that is too slow for an objective."""
    OVER_BUDGET = "over_budget"
    """The last tick was skipped, because the budget of the probe is exhausted."""
    COLD = "cold"
    """The last result is a cold start that does not count."""
    PAUSED = "paused"
    """The daemon is paused: the last result is old."""
    PENDING = "pending"
    """No result yet."""
    OK = "ok"
    """The last result is a success, and fast enough for all objectives."""


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
    def covered_seconds(self) -> float:
        """Seconds since counting began, at most 30 days."""
        return max((status.covered_seconds for status in self.objectives), default=0.0)


def summarise(history: ProbeHistory, *, paused: bool) -> ProbeSummary:
    """Return the summary of a probe. `paused` is whether the daemon is paused."""
    results = history.summaries()
    latencies = [
        result.latency for result in results if result.reason is None and not result.is_excluded
    ]
    return ProbeSummary(
        history=history,
        name=history.probe.name,
        state=_state(
            results[-1] if results else None,
            history.probe,
            paused=paused,
            is_over_budget=history.budget.is_exhausted,
        ),
        last=history.last(),
        quantiles=quantiles(latencies),
        successes=len(latencies),
    )


def _state(
    last: ResultSummary | None, probe: Probe, *, paused: bool, is_over_budget: bool
) -> ProbeState:
    """Return the state after the result `last`."""
    if paused:
        return ProbeState.PAUSED
    if is_over_budget:
        return ProbeState.OVER_BUDGET
    if last is None:
        return ProbeState.PENDING
    if last.is_excluded or last.reason is Reason.COLD:
        return ProbeState.COLD
    if last.reason is Reason.STARTUP:
        return ProbeState.NEVER_ANSWERED
    return _STATES[classify_result(last, probe.strictest_thresholds)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedProbe:
    """State of one probe in the list of all probes, without its statistics."""

    overview: ProbeOverview
    state: ProbeState
    missed: bool
    """Whether an objective was missed over the last 5 minutes."""

    @property
    def probe(self) -> Probe:
        return self.overview.probe

    @property
    def name(self) -> str:
        return self.overview.probe.name

    @property
    def has_recent_results(self) -> bool:
        """Whether an objective has results in the last 5 minutes."""
        return any(met is not None for met in self.overview.met)


def listed_probe(overview: ProbeOverview, *, paused: bool) -> ListedProbe:
    """Return the state of a probe. `paused` is whether the daemon is paused."""
    return ListedProbe(
        overview=overview,
        state=_state(
            overview.last_summary(),
            overview.probe,
            paused=paused,
            is_over_budget=overview.is_over_budget,
        ),
        missed=False in overview.met,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeDetails:
    """All retained results of one probe."""

    summary: ProbeSummary
    recent: Sequence[Result]
    slowest: Sequence[Result]
    failures: Sequence[Result]
    phases: Mapping[Phase, PhaseQuantiles]


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
