"""Good and bad events of the objectives of one probe, in total, by hour and in incidents."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from probe.clock import HOUR_SECONDS
from probe.metrics import catalogue
from probe.metrics.target_labels import Replica
from probe.prometheus import scrapes
from probe.prometheus.increases import Increase
from probe.prometheus.scrapes import ObjectiveKey, all_counters, success_counter
from probe.report.coverage import END_SECONDS, Interval
from probe.report.incident import IncidentDetector
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
    """The events of one objective."""

    detector: IncidentDetector
    in_effect: list[Interval] = field(default_factory=list)
    """Times in which it was in effect, ascending. A reload that restores it begins another one."""
    is_current: bool = False
    """Whether the last scrapes have it."""
    events: Events = field(default_factory=Events)
    hours: dict[float, Events] = field(default_factory=lambda: defaultdict(Events))
    """By the start of the hour (Unix seconds)."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Numbers of bad events."""
    # Whether there are scrapes without it after `end`.
    _is_replaced: bool = False

    @property
    def start(self) -> float:
        return self.in_effect[0][0]

    @property
    def end(self) -> float:
        return self.in_effect[-1][1]

    def extend(self, since: float, time: float) -> None:
        """Note that the objective was in effect between two scrapes of a replica."""
        if not self.in_effect or (self._is_replaced and since > self.end):
            self.detector.finish()
            self.in_effect.append((since, time))
        else:
            # Without scrapes in between, a restart of the prober does not end the time in effect.
            start, end = self.in_effect[-1]
            self.in_effect[-1] = (min(start, since), max(end, time))
        self._is_replaced = False

    def note_absence(self, time: float) -> None:
        """Note that a scrape at `time` does not have the objective."""
        self._is_replaced |= time > self.end


class ObjectiveCounter:
    """Counts the events of all objectives of one probe."""

    def __init__(self) -> None:
        self._counts: dict[Objective, ObjectiveCounts] = {}
        # The time and the objectives of the last scrape of each replica.
        self._last: dict[Replica, tuple[float, Collection[Objective]]] = {}

    def add(self, replica: Replica, increase: Increase) -> None:
        """Add the increases of one replica. Those of all replicas come by ascending time."""
        failures = _failures(increase.counts)
        objectives = [Objective(key, target) for key, target in increase.targets.items()]
        self._last[replica] = increase.time, objectives
        for objective in objectives:
            counts = self._counts.setdefault(
                objective, ObjectiveCounts(IncidentDetector(1 - objective.target))
            )
            counts.extend(increase.since, increase.time)
            _count(counts, objective.key, increase, failures)
        for objective, counts in self._counts.items():
            if objective not in objectives:
                counts.note_absence(increase.time)

    def finish(self) -> dict[Objective, ObjectiveCounts]:
        """Return the counts, after the last increase."""
        latest = max((time for time, _ in self._last.values()), default=0.0)
        for time, objectives in self._last.values():
            if latest - time <= END_SECONDS:
                for objective in objectives:
                    self._counts[objective].is_current = True
        for counts in self._counts.values():
            counts.detector.finish()
        return self._counts


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
