"""Increases of the counters of one replica for one probe, from scrape to scrape."""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass

from probe.metrics import catalogue
from probe.prometheus.increases import TargetCounters
from probe.report.scrapes import SIGNAL_METRICS, CounterKey, ObjectiveKey, Scrape

_TICKS = CounterKey(catalogue.TICKS.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Increase:
    """Events that a replica counted between two scrapes."""

    since: float
    """Time of the scrape before, or of the start of the process if that is later."""
    time: float
    absent_since: float | None
    """Time of the last scrape of the previous process; None if the process is the same."""
    interval: float | None
    counts: Mapping[CounterKey, float]
    """Increases above 0."""
    targets: Mapping[ObjectiveKey, float]
    """Targets of the objectives in effect."""

    def of(self, counter: CounterKey) -> float:
        return self.counts.get(counter, 0.0)


class ReplicaCounters:
    """The counters of one replica for one probe."""

    def __init__(self, horizon: float) -> None:
        """Begin after `horizon` (Unix seconds), as TargetCounters does."""
        self._counters = TargetCounters(horizon, monotonic=_TICKS)
        self._objectives: Set[ObjectiveKey] = frozenset()
        self._is_first = True

    def advance(self, scrape: Scrape) -> Increase | None:
        """Return the increases since the previous scrape, None if the probe is not in `scrape`.

        Scrapes come by ascending time. For a new objective or threshold of a signal, the daemon
        resets its histogram.
        """
        is_first, self._is_first = self._is_first, False
        new = scrape.targets.keys() - self._objectives
        self._objectives = scrape.targets.keys()
        reset_metrics = {SIGNAL_METRICS[objective.signal] for objective in new}
        increases = self._counters.advance(scrape, reset_metrics)
        if increases is None:
            return None
        since = max(increases.since, _earliest_start(scrape)) if is_first else increases.since
        return Increase(
            since=since,
            time=increases.time,
            absent_since=increases.absent_since,
            interval=scrape.interval,
            counts=increases.counts,
            targets=scrape.targets,
        )


def _earliest_start(scrape: Scrape) -> float:
    """Return when the probe began at the earliest, by its ticks (Unix seconds).

    A reload may have added it long after the start of the process.
    """
    ticks = scrape.counters.get(_TICKS)
    if ticks is None or scrape.interval is None:
        return -math.inf
    return scrape.time - (ticks + 1) * scrape.interval
