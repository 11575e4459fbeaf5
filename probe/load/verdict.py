"""Verdict about a step of a load test: whether its objectives are met."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from probe.load.measurement import Counts, StepMeasurement, total
from probe.load.objective import LoadObjective
from probe.load.statistics import bad_share_bounds, has_growth
from probe.result import Reason, Signal
from probe.statistics.intervals import Bounds, is_above, min_requests

# Evidence that an objective is missed needs this many requests, evidence that it is met needs more.
MIN_REQUESTS_TO_MISS = 20

# A step ends at once if the lower bound of its bad share exceeds the allowed share this many times.
CLEARLY_MISSED_RATIO = 3.0

# In a steady state the mean number of requests in flight is rate x mean latency (Little's law), and
# all requests have a result. A queue that grows slowly hardly violates this, so the number of
# requests in flight must not grow by more than this part of its mean.
MAX_LITTLE_DEVIATION = 0.2
MIN_COMPLETED_SHARE = 0.95
MAX_IN_FLIGHT_GROWTH = 0.5

# The load generator is too late if its delays at this quantile exceed this part of the smallest
# threshold, or this time (seconds) without a threshold.
LAG_QUANTILE = 0.99
MAX_LAG_SHARE = 0.1
MAX_LAG_SECONDS = 1.0

# The load generator has failed if more of its requests than this were not sent because of a fault
# of its process or host.
MAX_INTERNAL_SHARE = 0.01


class Verdict(StrEnum):
    """Verdict about a step."""

    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"
    """The bounds of a bad share are on both sides of the allowed share."""
    VOID = "void"
    """The load generator was too late, so the step says nothing about the endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Requests of a step that count for one objective, and the bounds of their bad share."""

    objective: LoadObjective
    requests: int
    bad: int
    bounds: Bounds

    @property
    def bad_share(self) -> float:
        return self.bad / self.requests if self.requests else 0.0

    @property
    def usage(self) -> float:
        """Upper bound of the bad share, as a multiple of the allowed share."""
        return self.bounds.upper / self.objective.allowed

    @property
    def looks_met(self) -> bool:
        """Whether no more requests were bad than allowed, of at least a few."""
        return self.requests >= MIN_REQUESTS_TO_MISS and self.bad_share <= self.objective.allowed

    @property
    def verdict(self) -> Verdict:
        """The verdict about this objective alone."""
        objective = self.objective
        if self.requests >= MIN_REQUESTS_TO_MISS and self.bounds.lower > objective.allowed:
            return Verdict.MISSED
        is_proven = (
            self.requests >= min_requests(objective.target)
            and self.bounds.upper <= objective.allowed
        )
        if is_proven or (objective.uses_observed_share and self.looks_met):
            return Verdict.MET
        return Verdict.UNDECIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a step shows, from the end of its warm-up until now."""

    evidence: tuple[Evidence, ...]
    counts: Counts
    seconds: int
    """Number of the seconds that count."""
    in_flight_growth: float
    """Growth of the number of requests in flight, per second."""
    is_growing: bool
    """Whether the number of requests in flight grows, and not only by chance."""

    @property
    def verdict(self) -> Verdict:
        """The verdict about all objectives."""
        if self.is_void:
            return Verdict.VOID
        verdicts = {evidence.verdict for evidence in self.evidence}
        if Verdict.MISSED in verdicts:
            return Verdict.MISSED
        is_met = verdicts == {Verdict.MET} and self.is_steady
        return Verdict.MET if is_met else Verdict.UNDECIDED

    @property
    def looks_met(self) -> bool:
        """Whether the observed shares are those of a rate that meets all objectives."""
        return self.is_steady and all(evidence.looks_met for evidence in self.evidence)

    @property
    def limiting(self) -> Evidence:
        """The evidence for the objective that is missed, or uses most of its allowed share.

        The upper bound of a limit is no evidence, so a limit counts only if it is exceeded.
        """
        return max(
            self.evidence,
            key=lambda evidence: (
                evidence.verdict is Verdict.MISSED,
                not evidence.looks_met,
                not evidence.objective.uses_observed_share,
                evidence.usage,
            ),
        )

    @property
    def lag_seconds(self) -> float:
        """Delay of the starts at LAG_QUANTILE."""
        lags = self.counts.lags
        return lags.at_rank(math.ceil(LAG_QUANTILE * lags.count)) if lags.count else 0.0

    @property
    def max_lag_seconds(self) -> float:
        """The largest delay that does not change the verdict.

        The time per token has no start that could be late.
        """
        thresholds = [
            MAX_LAG_SHARE * evidence.objective.threshold_seconds
            for evidence in self.evidence
            if evidence.objective.threshold_seconds
            and evidence.objective.signal is not Signal.TIME_PER_OUTPUT_TOKEN
        ]
        return min([*thresholds, MAX_LAG_SECONDS])

    @property
    def is_void(self) -> bool:
        """Whether the load generator was too late, failed, or sent nothing."""
        internal = self.counts.failures[Reason.INTERNAL]
        return (
            self.counts.offered == 0
            or self.lag_seconds > self.max_lag_seconds
            or internal > MAX_INTERNAL_SHARE * self.counts.offered
        )

    @property
    def is_steady(self) -> bool:
        """Whether requests are completed as fast as they are due."""
        counts = self.counts
        deviation = abs(counts.in_flight_seconds - counts.latency_seconds)
        return (
            counts.completed >= MIN_COMPLETED_SHARE * counts.offered
            and deviation <= MAX_LITTLE_DEVIATION * counts.latency_seconds
            and not self.is_growing
        )

    @property
    def in_flight(self) -> float:
        """Mean number of requests in flight."""
        return self.counts.in_flight_seconds / self.seconds if self.seconds else 0.0

    @property
    def throughput(self) -> float:
        """Results per second during these seconds.

        `counts.completed` also has results after the end of the step.
        """
        if not self.seconds:
            return 0.0
        return max(0.0, self.counts.completed / self.seconds - self.in_flight_growth)


def evaluate(
    measurement: StepMeasurement, objectives: Sequence[LoadObjective], *, warm_up_seconds: float
) -> Evaluation:
    """Return what `measurement` shows. Only whole seconds after the warm-up count."""
    seconds = _counted_seconds(measurement, warm_up_seconds)
    evidence = (
        _evidence(objective, [(part.bad[index], part.events[index]) for part in seconds])
        for index, objective in enumerate(objectives)
    )
    return Evaluation(
        evidence=tuple(evidence),
        counts=total(seconds),
        seconds=len(seconds),
        in_flight_growth=_in_flight_growth(seconds),
        is_growing=has_growth([part.in_flight_seconds for part in seconds], MAX_IN_FLIGHT_GROWTH),
    )


def is_clearly_missed(
    measurement: StepMeasurement, objectives: Sequence[LoadObjective], *, warm_up_seconds: float
) -> bool:
    """Return whether an objective is missed by so far that more requests are of no use."""
    seconds = _counted_seconds(measurement, warm_up_seconds)
    for index, objective in enumerate(objectives):
        requests = sum(part.events[index] for part in seconds)
        bad = sum(part.bad[index] for part in seconds)
        share = min(1.0, CLEARLY_MISSED_RATIO * objective.allowed)
        if requests >= MIN_REQUESTS_TO_MISS and is_above(bad, requests, share):
            return True
    return False


def _counted_seconds(measurement: StepMeasurement, warm_up_seconds: float) -> Sequence[Counts]:
    end = math.floor(measurement.complete_until)
    return measurement.seconds[math.ceil(warm_up_seconds) : end]


def _in_flight_growth(seconds: Sequence[Counts]) -> float:
    """Return the growth of the requests in flight per second, from the first to the last second."""
    if len(seconds) < 2:
        return 0.0
    growth = seconds[-1].in_flight_seconds - seconds[0].in_flight_seconds
    return growth / (len(seconds) - 1)


def _evidence(objective: LoadObjective, seconds: Sequence[tuple[int, int]]) -> Evidence:
    """Return the evidence of `seconds`, each with its numbers of bad requests and of requests."""
    bad, requests = (sum(column) for column in zip(*seconds, strict=True)) if seconds else (0, 0)
    bounds = bad_share_bounds(seconds) if requests else Bounds(0.0, 1.0)
    return Evidence(objective=objective, requests=requests, bad=bad, bounds=bounds)
