"""Good and bad events of the objectives of one probe, in total, by hour and in incidents."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from probe.clock import HOUR_SECONDS
from probe.metrics import catalogue
from probe.report import scrapes
from probe.report.incident import IncidentDetector
from probe.report.increases import Increase
from probe.report.scrapes import ObjectiveKey, all_counters, success_counter
from probe.result import Reason

# Reason of a success that is above the threshold.
SLOW = "slow"


class Objective(NamedTuple):
    """An objective with one threshold and one target. A changed one is another objective."""

    key: ObjectiveKey
    target: float


@dataclass(slots=True)
class Events:
    """Numbers of good and of bad events."""

    good: int = 0
    bad: int = 0

    @property
    def total(self) -> int:
        return self.good + self.bad

    def add(self, good: int, bad: int) -> None:
        self.good += good
        self.bad += bad


@dataclass(slots=True)
class ObjectiveCounts:
    """The events of one objective. `start` and `end` are when it was in effect (Unix seconds)."""

    start: float
    end: float
    detector: IncidentDetector
    events: Events = field(default_factory=Events)
    hours: dict[float, Events] = field(default_factory=lambda: defaultdict(Events))
    """By the start of the hour (Unix seconds)."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Numbers of bad events."""


class ObjectiveCounter:
    """Counts the events of all objectives of one probe."""

    def __init__(self) -> None:
        self.counts: dict[Objective, ObjectiveCounts] = {}

    def add(self, increase: Increase) -> None:
        """Add the increases of one replica. Those of all replicas come by ascending time."""
        failures = _failures(increase.counts)
        for key, target in increase.targets.items():
            objective = Objective(key, target)
            counts = self.counts.get(objective)
            if counts is None:
                counts = ObjectiveCounts(
                    increase.since, increase.time, IncidentDetector(1 - target)
                )
                self.counts[objective] = counts
            counts.end = increase.time
            _count(counts, key, increase, failures)


def _count(
    counts: ObjectiveCounts, key: ObjectiveKey, increase: Increase, failures: Mapping[str, int]
) -> None:
    good = round(increase.of(success_counter(key.signal, key.threshold)))
    bad = sum(round(increase.of(counter)) for counter in all_counters(key.signal)) - good
    if not good and not bad:
        return
    reasons = {}
    if bad:
        slow = bad - sum(failures.values())
        reasons = {**failures, **({SLOW: slow} if slow > 0 else {})}
        counts.reasons.update(reasons)
    counts.events.add(good, bad)
    counts.hours[increase.time // HOUR_SECONDS * HOUR_SECONDS].add(good, bad)
    counts.detector.add(
        since=increase.since,
        time=increase.time,
        good=good,
        bad=bad,
        interval=increase.interval,
        reasons=reasons,
    )


def _failures(counts: Mapping[scrapes.CounterKey, float]) -> dict[str, int]:
    """Return the numbers of failures that count against objectives, by reason."""
    return {
        counter.kind: round(count)
        for counter, count in counts.items()
        if counter.metric == catalogue.FAILURES.name and _is_charged(counter.kind)
    }


def _is_charged(reason: str) -> bool:
    """Return whether a failure counts. Reasons that only newer daemons have count."""
    try:
        return Reason(reason).counts_against_slo
    except ValueError:
        return True
