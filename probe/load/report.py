"""Result of a load test: its steps, the safe rate, and what follows from them.

The text, JSON and HTML reports show these values. They come from a search, or from Prometheus.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from probe.load.objective import LoadObjective
from probe.load.sizing import required_instances
from probe.load.statistics import Quantile, latency_quantile
from probe.load.step import Step
from probe.load.verdict import Evidence, Verdict
from probe.result import Component, Phase, Reason

# Two rates are neighbours if their ratio is at most this: what happens between them is known.
MAX_NEIGHBOUR_RATIO = 1.15

# With a cliff, the bad share of the next rate is at least this, and this multiple of the allowed
# share.
MIN_CLIFF_SHARE = 0.3
CLIFF_RATIO = 4.0

# A phase or server component is degraded if its mean time has grown by at least this factor, and by
# at least this part of the growth of the latency.
MIN_DEGRADATION = 1.5
MIN_DEGRADATION_SHARE = 0.2


class Edge(StrEnum):
    """What happens at rates just above the safe rate."""

    SLOPE = "slope"
    """A few more requests are bad."""
    CLIFF = "cliff"
    """Many requests are bad."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """Measurements of one step after its warm-up. Times are seconds, rates per second."""

    rate: float
    is_confirmation: bool
    seconds: float
    offered: int
    completed: int
    failures: Mapping[Reason, int]
    dropped: int
    evidence: tuple[Evidence, ...]
    """For each objective."""
    limiting: Evidence
    """For the objective that was missed, or was closest to its limit."""
    p50: Quantile | None
    p95: Quantile | None
    p99: Quantile | None
    in_flight: float
    """Mean number of requests in flight."""
    throughput: float
    """Results per second."""
    phases: Mapping[Phase, float]
    """Mean time of each phase of the successes."""
    components: Mapping[Component, float]
    """Mean of each time that the server reported, per success."""
    lag_seconds: float
    """99th percentile of the delays of the load generator."""
    verdict: Verdict
    passed: bool
    """Whether the objectives are met, or look met."""

    @classmethod
    def of(cls, step: Step) -> "StepReport":
        evaluation = step.evaluation
        counts = evaluation.counts
        successes = max(1, counts.latencies.count)
        p50, p95, p99 = (
            latency_quantile(counts.latencies, counts.completed + counts.dropped, ratio)
            for ratio in (0.5, 0.95, 0.99)
        )
        return cls(
            rate=step.rate,
            is_confirmation=step.plan.is_confirmation,
            seconds=evaluation.seconds,
            offered=counts.offered,
            completed=counts.completed,
            failures=counts.failures,
            dropped=counts.dropped,
            evidence=evaluation.evidence,
            limiting=evaluation.limiting,
            p50=p50,
            p95=p95,
            p99=p99,
            in_flight=evaluation.in_flight,
            throughput=evaluation.throughput,
            phases={phase: seconds / successes for phase, seconds in counts.phases.items()},
            components={part: total / successes for part, total in counts.components.items()},
            lag_seconds=evaluation.lag_seconds,
            verdict=step.verdict,
            passed=step.passed,
        )

    @property
    def failed(self) -> int:
        return sum(self.failures.values())


@dataclass(frozen=True, slots=True)
class Degradation:
    """Mean time (seconds) of a phase or server component, at the lowest and at a missed rate."""

    name: str
    """Such as `wait`, or `server: queue`."""
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Load to plan for: requests per second, and the shares to keep free."""

    rate: float
    headroom: float
    """Share of the capacity that must be free for peaks and for the failure of replicas."""
    utilization: float
    """Share of the safe rate that one replica may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """Result of a load test of one endpoint."""

    probe: str
    url: str
    """Without secrets."""
    objectives: tuple[LoadObjective, ...]
    steps: tuple[StepReport, ...]
    """In the order in which they were run."""
    confirmed: StepReport | None
    reason: str
    """Why the test ended."""
    demand: Demand | None = None

    @property
    def safe_rate(self) -> float | None:
        """The confirmed rate."""
        return self.confirmed.rate if self.confirmed else None

    @property
    def missed(self) -> StepReport | None:
        """The step with the lowest rate above the safe rate that does not look met.

        Its verdict is `undecided` if its bad share is above the allowed share only by chance.
        """
        safe_rate = self.safe_rate or 0.0
        missed = [
            step
            for step in self.steps
            if step.rate > safe_rate and not step.passed and step.verdict is not Verdict.VOID
        ]
        return min(missed, key=lambda step: step.rate, default=None)

    @property
    def void_rates(self) -> list[float]:
        """The rates at which all steps are void, ascending."""
        measured = {step.rate for step in self.steps if step.verdict is not Verdict.VOID}
        return sorted({step.rate for step in self.steps} - measured)

    @property
    def edge(self) -> Edge:
        """What happens above the safe rate."""
        missed = self.missed
        if missed is None or self.safe_rate is None:
            return Edge.UNKNOWN
        evidence = missed.limiting
        if evidence.bad_share < CLIFF_RATIO * evidence.objective.allowed:
            return Edge.SLOPE
        is_neighbour = missed.rate <= MAX_NEIGHBOUR_RATIO * self.safe_rate
        return Edge.CLIFF if is_neighbour else Edge.UNKNOWN

    @property
    def degradation(self) -> Degradation | None:
        """The server component, or else the phase, that grew most until the first missed rate.

        None if no time has grown considerably.
        """
        usable = [step for step in self.steps if step.passed]
        if not usable or self.missed is None:
            return None
        before, after = min(usable, key=lambda step: step.rate), self.missed
        parts = {
            f"server: {name}": (seconds, after.components.get(name, 0.0))
            for name, seconds in before.components.items()
            if name is not Component.TOTAL
        }
        phases = {
            str(phase): (seconds, after.phases.get(phase, 0.0))
            for phase, seconds in before.phases.items()
        }
        latency_growth = sum(after.phases.values()) - sum(before.phases.values())
        min_growth = MIN_DEGRADATION_SHARE * latency_growth
        return _largest_growth(parts, min_growth) or _largest_growth(phases, min_growth)

    @property
    def headroom(self) -> float | None:
        """Share of the safe rate that is free at the expected rate; negative if it is exceeded."""
        if self.safe_rate is None or self.demand is None:
            return None
        return 1 - self.demand.rate / self.safe_rate

    @property
    def replicas(self) -> int | None:
        """Number of replicas for the expected rate."""
        if self.safe_rate is None or self.demand is None:
            return None
        return required_instances(
            _decimal(self.demand.rate),
            _decimal(self.safe_rate) * _decimal(self.demand.utilization),
            _decimal(self.demand.headroom),
        )

    @property
    def is_met(self) -> bool:
        """Whether a rate is confirmed, which is not below the expected one."""
        if self.safe_rate is None:
            return False
        return self.demand is None or self.safe_rate >= self.demand.rate


def _decimal(number: float) -> Fraction:
    """Return the decimal number that was written: 0.2 is not exactly a float."""
    return Fraction(repr(number))


def _largest_growth(
    times: Mapping[str, tuple[float, float]], min_growth: float
) -> Degradation | None:
    """Return the time that has grown most, if by MIN_DEGRADATION and by `min_growth` seconds.

    `times` are values before and after (seconds), by name.
    """
    grown = [
        Degradation(name, before, after)
        for name, (before, after) in times.items()
        if after >= MIN_DEGRADATION * before and after - before > max(0.0, min_growth)
    ]
    return max(grown, key=lambda growth: growth.after - growth.before, default=None)
