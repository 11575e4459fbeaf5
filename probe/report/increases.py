"""Increases of the counters of one replica, from scrape to scrape.

The increases are exact: they are differences of scraped values, not extrapolated as those of
`increase()`. What a process counted after its last scrape was never scraped and is not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from probe.metrics import catalogue
from probe.report.scrapes import SIGNAL_METRICS, Counter, ObjectiveKey, Scrape

# Two times of the start of a process that differ by less (seconds) are the same.
_SAME_START_SECONDS = 1.0

_TICKS = Counter(catalogue.TICKS.name)


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
    """The counters of one replica for one probe.

    A counter begins at 0 if it is new in a scrape and the replica was scraped before, or if its
    process has started after `horizon` (Unix seconds). Otherwise its first value is where the
    increases begin.
    """

    def __init__(self, horizon: float) -> None:
        self._horizon = horizon
        self._previous: Scrape | None = None

    def advance(self, scrape: Scrape) -> Increase | None:
        """Return the increases since the previous scrape, None if the probe is not in `scrape`.

        Scrapes come by ascending time.
        """
        previous, self._previous = self._previous, scrape
        if not scrape.counters:
            return None
        is_new_process = previous is None or _is_restarted(previous, scrape)
        counts = self._counts(previous, scrape, is_new_process=is_new_process)
        since = scrape.time if previous is None else previous.time
        if is_new_process:
            since = self._start(previous, scrape)
        return Increase(
            since=since,
            time=scrape.time,
            absent_since=previous.time if previous and is_new_process else None,
            interval=scrape.interval,
            counts=counts,
            targets=scrape.targets,
        )

    def _counts(
        self, previous: Scrape | None, scrape: Scrape, *, is_new_process: bool
    ) -> dict[Counter, float]:
        if previous is None and not self._began_after_horizon(scrape):
            return {}
        before = {} if previous is None or is_new_process else previous.counters
        reset = _reset_metrics(before, previous, scrape) if before else frozenset()
        counts = {}
        for counter, value in scrape.counters.items():
            base = 0.0 if counter.metric in reset else before.get(counter, 0.0)
            # A counter without a histogram, such as that of a reason, can be reset alone.
            increase = value - base if value >= base else value
            if increase:
                counts[counter] = increase
        return counts

    def _began_after_horizon(self, scrape: Scrape) -> bool:
        return scrape.process_start is not None and scrape.process_start >= self._horizon

    def _start(self, previous: Scrape | None, scrape: Scrape) -> float:
        """Return the time since which the first scrape of a process has counted."""
        start = scrape.time if scrape.process_start is None else scrape.process_start
        earliest = self._horizon if previous is None else previous.time
        if previous is None and not self._began_after_horizon(scrape):
            return scrape.time
        return min(max(start, earliest), scrape.time)


def _is_restarted(previous: Scrape, scrape: Scrape) -> bool:
    """Return whether another process answered the scrape.

    Without the time of its start, which the target may not export, ticks that decrease show it.
    """
    if previous.process_start is not None and scrape.process_start is not None:
        return abs(scrape.process_start - previous.process_start) > _SAME_START_SECONDS
    return scrape.counters.get(_TICKS, 0.0) < previous.counters.get(_TICKS, 0.0)


def _reset_metrics(
    before: Mapping[Counter, float], previous: Scrape | None, scrape: Scrape
) -> frozenset[str]:
    """Return the histograms that the same process has reset.

    It resets all series of a histogram together: after a change of its buckets, and for a new
    objective or threshold of its signal.
    """
    assert previous is not None
    new = scrape.targets.keys() - previous.targets.keys()
    metrics = {SIGNAL_METRICS[objective.signal] for objective in new}
    for counter, value in before.items():
        if scrape.counters.get(counter, value) < value:
            metrics.add(counter.metric)
    return frozenset(metrics)
