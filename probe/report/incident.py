"""Incidents of an objective: periods in which chance does not explain the bad events."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from probe.slo.alerts import OBJECTIVE_MISSED

# Evidence for an incident: the negative decimal logarithm of the probability that an endpoint which
# just keeps its objective has such bad events. The alert ModelObjectiveMissed needs the same.
MIN_EVIDENCE = OBJECTIVE_MISSED.evidence

# Assumed share of bad events during an incident, as a multiple of the budget, and its maximum. With
# other shares, incidents are also found, but somewhat later.
BUDGET_MULTIPLE = 10.0
MAX_BAD_RATIO = 0.5

# An incident has ended after this time without a bad event, or after this number of intervals.
QUIET_SECONDS = 600.0
QUIET_INTERVALS = 5

# It has also ended if the good events after it are evidence of its end (a decimal logarithm).
END_EVIDENCE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A period with too many bad events.

    `start` is the last scrape before the first bad event, and `end` the scrape with the last one
    (Unix seconds).
    """

    start: float
    end: float
    bad: int
    reasons: Mapping[str, int]
    """Numbers of bad events by reason; `slow` are successes above the threshold."""

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(slots=True)
class _Candidate:
    """Bad events that may become an incident. It ends where the score is highest."""

    start: float
    end: float
    last: float
    """Time of the last bad event, also after `end`."""
    score: float = 0.0
    best_score: float = 0.0
    """The score at `end`."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Until `end`."""
    later: Counter[str] = field(default_factory=Counter)
    """After `end`."""


class IncidentDetector:
    """Finds the incidents of one objective in its events, which come by ascending time.

    The score is the logarithm of the likelihood ratio between a share of bad events that is
    BUDGET_MULTIPLE times the budget and one within the budget: the cumulative sum of Page,
    "Continuous Inspection Schemes" (1954). By Wald's inequality, the score of a model that keeps
    its objective reaches log(1 / p) with a probability of at most p.
    """

    def __init__(self, budget: float) -> None:
        """`budget` is the allowed share of bad events."""
        budget = max(budget, 1e-9)
        expected = max(budget, min(MAX_BAD_RATIO, BUDGET_MULTIPLE * budget))
        self._bad_score = math.log(expected / budget)
        self._good_score = math.log((1 - expected) / (1 - budget)) if budget < 1 else 0.0
        self._candidate: _Candidate | None = None
        self.incidents: list[Incident] = []

    def add(
        self,
        *,
        since: float,
        time: float,
        good: int,
        bad: int,
        interval: float | None,
        reasons: Mapping[str, int],
    ) -> None:
        """Add the events of one replica between two scrapes; `reasons` of the bad ones."""
        candidate = self._candidate
        quiet = max(QUIET_SECONDS, QUIET_INTERVALS * (interval or 0.0))
        if candidate and time - candidate.last > quiet:
            self.finish()
            candidate = None
        if bad:
            if candidate is None:
                candidate = self._candidate = _Candidate(since, time, time)
            candidate.start = min(candidate.start, since)
            candidate.score += bad * self._bad_score
            candidate.last = time
            candidate.later.update(reasons)
            if candidate.score >= candidate.best_score:
                candidate.best_score, candidate.end = candidate.score, time
                candidate.reasons.update(candidate.later)
                candidate.later.clear()
        if candidate and good:
            candidate.score += good * self._good_score
            lost = candidate.best_score - candidate.score
            if candidate.score <= 0 or lost > END_EVIDENCE * math.log(10):
                self.finish()

    def finish(self) -> None:
        """End the current period of bad events, which may be an incident."""
        candidate, self._candidate = self._candidate, None
        if candidate and candidate.best_score >= MIN_EVIDENCE * math.log(10):
            self.incidents.append(
                Incident(
                    start=candidate.start,
                    end=candidate.end,
                    bad=candidate.reasons.total(),
                    reasons=dict(candidate.reasons.most_common()),
                )
            )
