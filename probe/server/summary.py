"""What there is to say of a probe, computed once for the pages and for the API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from probe.history.history import ProbeHistory
from probe.history.objectives import ObjectiveStatus, StatusWindow
from probe.history.packed import ResultSummary, phase_quantiles, quantiles
from probe.result import Phase, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How one probe does. Quantiles (seconds, by rank) are of the successes that are kept."""

    kept: ProbeHistory
    name: str
    last: ResultSummary | None
    quantiles: Mapping[float, float]
    successes: int

    @property
    def standings(self) -> Sequence[ObjectiveStatus]:
        return self.kept.objectives

    @property
    def failing(self) -> bool:
        """Whether the last result is a failure that counts against the model."""
        return (
            self.last is not None
            and self.last.reason is not None
            and self.last.reason.counts_against_slo
        )

    @property
    def missed(self) -> bool:
        """Whether an objective is missed at present."""
        return any(one.met(StatusWindow.FIVE_MINUTES) is False for one in self.standings)

    @property
    def judged(self) -> bool:
        """Whether an objective has anything to be judged by at present."""
        return any(one.met(StatusWindow.FIVE_MINUTES) is not None for one in self.standings)

    @property
    def covered(self) -> float:
        """Seconds for which the objectives have been counted."""
        return max((one.covered_seconds for one in self.standings), default=0.0)


def summarise(kept: ProbeHistory) -> Summary:
    glances = kept.summaries()
    latencies = [one.latency for one in glances if one.reason is None]
    return Summary(
        kept=kept,
        name=kept.probe.name,
        last=glances[-1] if glances else None,
        quantiles=quantiles(latencies),
        successes=len(latencies),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """All that is kept of one probe."""

    summary: Summary
    recent: Sequence[Result]
    slowest: Sequence[Result]
    failures: Sequence[Result]
    phases: Mapping[Phase, Mapping[float, float]]


def detail(kept: ProbeHistory) -> Details:
    recent = kept.recent()
    return Details(
        summary=summarise(kept),
        recent=recent,
        slowest=kept.slowest(),
        failures=kept.failures(),
        phases=phase_quantiles(recent),
    )
