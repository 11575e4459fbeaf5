"""Keeps recent results and the objective status of each probe in memory.

A probe takes up to 60 kB for 268 results (220 bytes each), and up to 140 kB if they are streams
with 64 token times each (500 bytes). In addition, it takes up to 2 kB for each of at most 16 stored
responses, 5 kB per objective after 30 days (9 kB above 18 requests per second), 1 kB for the last
24 hours, 7 kB for the means of five phases over four weeks, and 5 kB for versions.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from probe.config.settings import Objective, Probe
from probe.history.half_hours import HalfHour, HalfHourCounter
from probe.history.objectives import ObjectiveCounter
from probe.history.phase_comparison import PhaseComparison
from probe.history.phase_means import PhaseMeans
from probe.history.result_codec import pack
from probe.history.snapshots import (
    MAX_RESULTS,
    FailedResult,
    FailureLog,
    ProbeHistory,
    ProbeOverview,
)
from probe.history.version_log import VersionLog
from probe.result import (
    NO_BUDGET,
    BudgetStatus,
    CertificateExpiry,
    Result,
    ResultKind,
    Signal,
    classify_result,
)
from probe.result_batch import ResultBatch

logger = logging.getLogger(__name__)

# The slowest success is kept for each period of this length.
SLOWEST_PERIOD_SECONDS = 300.0
MAX_SLOWEST = 12


@dataclass(slots=True)
class _ProbeState:
    """Results and counters of one probe."""

    probe: Probe
    objectives: Sequence[ObjectiveCounter]
    startup_seconds_left: Callable[[], float]
    budget: Callable[[], BudgetStatus]
    # The largest good values (seconds) of `probe`.
    thresholds: Mapping[Signal, float]
    certificate: CertificateExpiry = field(default_factory=CertificateExpiry)
    # A list: an empty deque takes ten times the memory.
    recent: list[bytes] = field(default_factory=list)
    # Number of the period and packed result.
    slowest: list[tuple[int, bytes]] = field(default_factory=list)
    # That of the last one (seconds), to compare it without unpacking.
    slowest_latency: float = 0.0
    # None before the first failure: most probes have none for a long time.
    failures: FailureLog | None = None
    half_hours: HalfHourCounter = field(default_factory=HalfHourCounter)
    phase_means: PhaseMeans = field(default_factory=PhaseMeans)
    versions: VersionLog | None = None

    def record(self, result: Result, packed: bytes, now: float, unix_now: float) -> None:
        """Add a result at `now` (monotonic clock) and `unix_now` (Unix seconds)."""
        self.recent.append(packed)
        del self.recent[:-MAX_RESULTS]
        self.certificate.record(result)
        if result.version:
            self.versions = self.versions or VersionLog()
            self.versions.record(result.version, result.started.timestamp())
        if result.failure is None:
            if self.failures:
                self.failures.record_success()
            if result.counts:
                self._update_slowest(result, packed, int(now / SLOWEST_PERIOD_SECONDS))
                self.phase_means.record(result.phases, unix_now)
        else:
            self.failures = self.failures or FailureLog()
            self.failures.record_failure(FailedResult(packed, result.excerpt))
        kind = classify_result(result, self.thresholds)
        if kind is not ResultKind.NOT_COUNTED:
            self.half_hours.record(kind, unix_now)
            for objective in self.objectives:
                objective.record(result, now)

    def _update_slowest(self, result: Result, packed: bytes, period: int) -> None:
        """Keep a success if it is the slowest of `period`."""
        latency = result.latency
        if not self.slowest or self.slowest[-1][0] != period:
            self.slowest.append((period, packed))
            del self.slowest[:-MAX_SLOWEST]
        elif latency > self.slowest_latency:
            self.slowest[-1] = (period, packed)
        else:
            return
        self.slowest_latency = latency

    def overview(self, now: float) -> ProbeOverview:
        return ProbeOverview(
            probe=self.probe,
            startup_seconds_left=self.startup_seconds_left(),
            is_over_budget=self.budget().is_exhausted,
            met=tuple(objective.met_recently(now) for objective in self.objectives),
            last=self.recent[-1] if self.recent else None,
        )

    def snapshot(self, now: float) -> ProbeHistory:
        oldest = int(now / SLOWEST_PERIOD_SECONDS) - MAX_SLOWEST
        return ProbeHistory(
            probe=self.probe,
            objectives=tuple(objective.status(now) for objective in self.objectives),
            startup_seconds_left=self.startup_seconds_left(),
            budget=self.budget(),
            certificate_not_after=self.certificate.not_after,
            recent=tuple(self.recent),
            slowest=tuple(packed for period, packed in self.slowest if period > oldest),
            failures=self.failures.snapshot() if self.failures else (),
            versions=self.versions.snapshot() if self.versions else (),
        )


class History:
    """Keeps results of all probes. A `ResultSink`; all methods are thread-safe.

    One lock guards them. A batch of results holds it for 0.26 to 0.42 ms (median).
    """

    def __init__(
        self, now: Callable[[], float], unix_seconds: Callable[[], float] = time.time
    ) -> None:
        """`now` returns a monotonic clock (seconds), `unix_seconds` the wall clock."""
        self._now = now
        self._unix_seconds = unix_seconds
        # Half hours begin at those of the wall clock at the start. Setting it later moves none.
        self._unix_offset = unix_seconds() - now()
        self._lock = threading.Lock()
        self._probes: dict[str, _ProbeState] = {}
        # Results that are not stored yet, and when their runs ended (monotonic seconds).
        self._pending = ResultBatch[tuple[Result, float]]()
        # End of the latest stored run (monotonic seconds).
        self._last_end = now()

    def add_probe(
        self,
        probe: Probe,
        startup_seconds_left: Callable[[], float],
        budget: Callable[[], BudgetStatus] = lambda: NO_BUDGET,
    ) -> None:
        """Start to keep the results of `probe`.

        `startup_seconds_left` returns the time until failures count (seconds), and `budget` the use
        of the probe's budget.
        """
        with self._lock:
            self._store_pending()  # those of a removed probe with this name are dropped
            objectives = [ObjectiveCounter(item, self._now()) for item in probe.objectives]
            self._probes[probe.name] = _ProbeState(
                probe=probe,
                objectives=objectives,
                startup_seconds_left=startup_seconds_left,
                budget=budget,
                thresholds=probe.strictest_thresholds,
            )

    def update_probe(self, probe: Probe) -> None:
        """Continue a probe with other settings. Its results are kept.

        An objective whose threshold changed is reset, as is its histogram.
        """
        with self._lock:
            self._store_pending()
            state = self._probes[probe.name]
            if probe.url != state.probe.url:
                state.certificate = CertificateExpiry(url_since=self._unix_seconds())
            state.objectives = [
                _continued(item, state.objectives, self._now()) for item in probe.objectives
            ]
            state.probe, state.thresholds = probe, probe.strictest_thresholds

    def remove_probe(self, name: str) -> None:
        """Drop a probe with all of its results. Later results of it are ignored."""
        with self._lock:
            self._probes.pop(name, None)

    def record(self, result: Result) -> None:
        """Keep the result of a scheduled probe."""
        if self._pending.append((result, self._now())):
            with self._lock:
                self._store_pending()

    def _store_pending(self) -> None:
        """Add pending results to their probes, if they are known. The caller holds the lock."""
        for result, end in self._pending.drain():
            # Two threads may have read the clock in the other order.
            now = self._last_end = max(end, self._last_end)
            try:
                if state := self._probes.get(result.probe):
                    state.record(result, pack(result), now, now + self._unix_offset)
            except Exception:  # it may belong to another probe than that of the caller
                logger.exception("bug: keeping a result of the probe %s failed", result.probe)

    def snapshot(self, name: str) -> ProbeHistory | None:
        """Return what is kept about probe `name`; None if it is not known."""
        with self._lock:
            self._store_pending()
            state = self._probes.get(name)
            return state.snapshot(self._now()) if state else None

    def overview(self, name: str) -> ProbeOverview | None:
        """Return what a list of all probes needs about probe `name`; None if it is not known."""
        with self._lock:
            self._store_pending()
            state = self._probes.get(name)
            return state.overview(self._now()) if state else None

    def half_hours(self, name: str) -> list[HalfHour]:
        """Return the results of probe `name` by half hour, oldest first; empty if unknown."""
        with self._lock:
            self._store_pending()
            state = self._probes.get(name)
            now = self._now() + self._unix_offset
            return state.half_hours.half_hours(now) if state else []

    def phase_comparisons(self, name: str) -> Sequence[PhaseComparison]:
        """Return the means of the phases of probe `name`, with those of earlier days.

        Empty if the probe is unknown, or has no recent mean.
        """
        with self._lock:
            self._store_pending()
            state = self._probes.get(name)
            now = self._now() + self._unix_offset
            return state.phase_means.comparisons(now) if state else ()


def _continued(
    objective: Objective, known: Iterable[ObjectiveCounter], now: float
) -> ObjectiveCounter:
    """Return the counter in `known` with the same events, else a new one."""
    for counter in known:
        if counter.objective.event_key == objective.event_key:
            return dataclasses.replace(counter, objective=objective)
    return ObjectiveCounter(objective, now)
