"""Increases of the counters of one replica for one probe, from scrape to scrape."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from probe.metrics import catalogue
from probe.prometheus.increases import TargetCounters
from probe.report.scrapes import SIGNAL_METRICS, Counter, ObjectiveKey, Scrape


@dataclass(frozen=True, slots=True, kw_only=True)
class Increase:
    """What a replica counted between two scrapes."""

    since: float
    """Time of the scrape before, or of the start of the process if that is later."""
    time: float
    absent_since: float | None
    """Time of the last scrape of the previous process; None for the same one."""
    interval: float | None
    counts: Mapping[Counter, float]
    """Increases above 0."""
    targets: Mapping[ObjectiveKey, float]
    """Targets of the objectives in effect."""

    def of(self, counter: Counter) -> float:
        return self.counts.get(counter, 0.0)


class ReplicaCounters:
    """The counters of one replica for one probe."""

    def __init__(self, horizon: float) -> None:
        """Begin after `horizon` (Unix seconds), as TargetCounters does."""
        self._counters = TargetCounters(horizon, monotonic=Counter(catalogue.TICKS.name))
        self._objectives: Set[ObjectiveKey] = frozenset()

    def advance(self, scrape: Scrape) -> Increase | None:
        """Return the increases since the previous scrape, None if the probe is not in `scrape`.

        Scrapes come by ascending time. For a new objective or threshold of a signal, the daemon
        resets its histogram.
        """
        new = scrape.targets.keys() - self._objectives
        self._objectives = scrape.targets.keys()
        reset_metrics = {SIGNAL_METRICS[objective.signal] for objective in new}
        increases = self._counters.advance(scrape, reset_metrics)
        if increases is None:
            return None
        return Increase(
            since=increases.since,
            time=increases.time,
            absent_since=increases.absent_since,
            interval=scrape.interval,
            counts=increases.counts,
            targets=scrape.targets,
        )
