"""Counts results and exports the counts. Ticks are counted by `scheduler.accounting`."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from probe.config.settings import Probe
from probe.metrics import catalogue
from probe.metrics.exemplar import Exemplar, find_exemplars
from probe.metrics.exposition import Exposition
from probe.metrics.histogram import DELAY_BUCKETS, Histogram
from probe.metrics.probe_counts import ProbeCounts
from probe.metrics.probe_series import write_probe_series
from probe.metrics.settings_series import settings_texts
from probe.result import Result, Signal
from probe.result_batch import ResultBatch
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.spending import SpendingMeter
from probe.threads import yield_gil

logger = logging.getLogger(__name__)


class Recorder:
    """Counts the results of all probes. A `ResultSink` and a `MetricSource`.

    One lock guards all counts. A batch of results holds it for 0.10 to 0.15 ms (median), and for
    0.7 ms on a busy machine (90th percentile). A scrape copies the counts of one probe after the
    other, and writes its text from the copies. The counts of one probe are consistent.
    """

    def __init__(
        self,
        accounting: TickAccounting,
        now: Callable[[], float] = time.time,
        *,
        has_exemplars: Callable[[], bool] = lambda: False,
    ) -> None:
        """Start without probes. `now` returns the wall clock (Unix seconds).

        `has_exemplars` returns whether the current config asks servers to record traces. Buckets of
        slow and failed requests then have a trace as their exemplar.
        """
        self._accounting = accounting
        self._now = now
        self._has_exemplars = has_exemplars
        self._lock = threading.Lock()
        self._probes: dict[str, ProbeCounts] = {}
        self._lag = Histogram(DELAY_BUCKETS)
        # Observations of lag that are not in the histogram yet.
        self._pending_lags = deque[float]()
        # Results that are not counted yet, and when their runs ended (Unix seconds).
        self._pending = ResultBatch[tuple[Result, float]]()
        self._correction = Histogram(DELAY_BUCKETS)

    def add_probe(
        self,
        probe: Probe,
        suspended: Mapping[str, Callable[[], bool]],
        spending: SpendingMeter | None = None,
    ) -> None:
        """Start counting for `probe`, from 0.

        `suspended` has a function for each reason of inference_probe_suspended: it returns whether
        the probe is suspended for this reason. `spending` counts the cost of its requests.
        """
        counts = ProbeCounts.of(probe, suspended, spending)
        with self._lock:
            self._count_pending()  # those of a removed probe with this name are dropped
            self._probes[probe.name] = counts

    def update_probe(self, probe: Probe) -> None:
        """Continue a probe with other settings. Counts that keep their meaning are kept."""
        with self._lock:
            old = self._probes[probe.name]
        if old.has_series_of(probe):
            texts = settings_texts(probe, old.labels)
            with self._lock:
                self._count_pending()
                old.use_settings(probe, texts)
            return
        # Most of the time is needed for this, and other threads need the lock.
        counts = ProbeCounts.of(probe, old.suspended, old.spending)
        with self._lock:
            self._count_pending()
            counts.take_over(old, self._now())
            self._probes[probe.name] = counts

    def remove_probe(self, name: str) -> None:
        """Stop exporting the series of a probe."""
        with self._lock:
            self._count_pending()  # for the metrics that are not those of a probe
            del self._probes[name]

    def observe_lag(self, seconds: float) -> None:
        """Record that a scheduled probe starts `seconds` after its due time. Never blocks.

        The request is about to be sent, and another thread may hold the lock.
        """
        self._pending_lags.append(seconds)

    def record(self, result: Result) -> None:
        """Count the result of a scheduled probe. Ignored if the probe was removed meanwhile."""
        if self._pending.append((result, self._now())):
            with self._lock:
                self._count_pending()

    def _count_pending(self) -> None:
        """Count pending results and observations of lag. The caller holds the lock."""
        while self._pending_lags:
            self._lag.observe(self._pending_lags.popleft())
        for result, now in self._pending.drain():
            try:
                self._count(result, now)
            except Exception:  # it may belong to another probe than that of the caller
                logger.exception("bug: counting a result of the probe %s failed", result.probe)

    def _count(self, result: Result, now: float) -> None:
        """Count the result of a run that ended at `now` (Unix seconds)."""
        counts = self._probes.get(result.probe)
        if counts is None:
            return
        exemplars: Mapping[Signal, Exemplar] = {}
        if self._has_exemplars():
            exemplars = find_exemplars(result, counts.probe.strictest_thresholds, now)
        counts.record(result, now, exemplars)
        if result.counts:
            self._correction.observe(result.correction)

    def write_to(self, exposition: Exposition) -> None:
        """Add all metrics of probes to `exposition`."""
        ticks = self._accounting.counts()
        # A probe that was added or removed meanwhile is left out.
        probes = [counts for counts in self._copy_counts() if counts.probe.name in ticks]
        write_probe_series(exposition, probes, ticks)
        with self._lock:
            delays = {
                catalogue.LAG: self._lag.copy(),
                catalogue.CORRECTION: self._correction.copy(),
            }
        for spec, histogram in delays.items():
            exposition.add_family(spec, [histogram.samples(spec, "")])

    def _copy_counts(self) -> Iterator[ProbeCounts]:
        """Yield a copy of the counts of each probe. The lock is free between two probes."""
        with self._lock:
            self._count_pending()
            names = list(self._probes)
        for name in yield_gil(names):
            with self._lock:
                counts = self._probes.get(name)
                if counts is None:
                    continue
                counts.remove_expired_values(self._now())
                copy = counts.copy()
            yield copy
