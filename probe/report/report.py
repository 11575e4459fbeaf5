"""The content of an SLA report."""

from collections.abc import Mapping
from dataclasses import dataclass

from probe.prometheus.probe_group import ProbeGroup
from probe.prometheus.scrapes import ObjectiveKey
from probe.report.alerts import Page
from probe.report.attainment import AttainmentInterval, ErrorBudget, Status
from probe.report.coverage import Coverage, Interval
from probe.report.incident import Incident
from probe.report.objective_counts import Events
from probe.report.period import Period
from probe.report.phase_comparisons import PhaseComparisons
from probe.report.time_quantiles import TimeQuantiles


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """An incident, and the pages that fired because of it."""

    incident: Incident
    pages: tuple[Page, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousObjective:
    """The same objective in the previous period."""

    events: Events
    attainment: float
    status: Status
    budget: ErrorBudget
    incidents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveReport:
    """An objective of one probe."""

    group: ProbeGroup
    key: ObjectiveKey
    target: float
    in_effect: tuple[Interval, ...]
    """Times in which it was in effect, ascending."""
    is_current: bool
    """Whether it was in effect at the end."""
    events: Events
    interval: AttainmentInterval | None
    budget: ErrorBudget
    status: Status
    status_reason: str | None
    """Why there is not enough data."""
    reasons: Mapping[str, int]
    """Numbers of bad events."""
    if_excluded_were_bad: Mapping[str, float]
    """Attainment by cause, if the runs that no objective counts had been bad."""
    incidents: tuple[IncidentReport, ...]
    hours: Mapping[float, Events]
    """By the start of the hour (Unix seconds)."""
    previous: PreviousObjective | None = None

    @property
    def start(self) -> float:
        """When it came into effect (Unix seconds)."""
        return self.in_effect[0][0]

    @property
    def end(self) -> float:
        """When it was in effect for the last time (Unix seconds)."""
        return self.in_effect[-1][1]

    @property
    def attainment(self) -> float | None:
        return self.events.good / self.events.total if self.events.total else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DimensionReport:
    """Events with one value of a dimension, such as a version of the model."""

    dimension: str
    value: str
    events: int
    failed: int
    within: Mapping[float, Events]
    """By the thresholds (seconds) of the objectives of the latency, while they were in effect: good
    events are successes within the threshold."""
    times: TimeQuantiles | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """Everything about one probe. `coverage` is None if no scrape has it."""

    group: ProbeGroup
    coverage: Coverage | None
    objectives: tuple[ObjectiveReport, ...]
    times: Mapping[str, TimeQuantiles]
    """Latency, signals of streams and phases, by name."""
    previous_times: Mapping[str, TimeQuantiles]
    phase_comparisons: PhaseComparisons | None
    """None if no hour at the end of the period has enough successes."""
    dimensions: tuple[DimensionReport, ...]
    other_pages: tuple[Page, ...]
    """Pages that belong to no incident."""
    daemon_versions: tuple[str, ...]
    config_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaReport:
    """The report of a period. `created` is its time (Unix seconds)."""

    period: Period
    previous_period: Period | None
    created: float
    source: str
    """URL of the server."""
    probes: tuple[ProbeReport, ...]
    rules_hash: str | None
    warnings: tuple[str, ...]
    """Of the server, about its data."""

    @property
    def objectives(self) -> tuple[ObjectiveReport, ...]:
        return tuple(objective for probe in self.probes for objective in probe.objectives)

    @property
    def status(self) -> Status:
        """The worst status. An objective that was replaced matters only if it was missed."""
        statuses = {
            objective.status
            for objective in self.objectives
            if objective.is_current or objective.status is Status.MISSED
        }
        if Status.MISSED in statuses:
            return Status.MISSED
        return Status.MET if statuses == {Status.MET} else Status.NOT_ENOUGH_DATA
