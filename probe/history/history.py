"""What is remembered of each probe: its last results, failures for longer, and whether it keeps
its promises.

It costs some 40 kB a probe: 150 bytes for each result, up to 2 kB for each answer that is kept
with a failure (40 kB at the worst), and 8 kB for each objective. Nothing grows with the rate.
"""

import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from probe.config.schema import Objective, Probe
from probe.history.failure_log import FailedResult, FailureLog
from probe.history.packed import ResultSummary, pack, read_summary, unpack
from probe.history.sliding_window import GoodBad, SlidingWindowCounter
from probe.result import Result

MAX_RESULTS = 128
"""Of failures no fewer are kept: none is forgotten before a success that is older."""
SLOWEST_WINDOW_SECONDS = 300.0
"""Seconds, of each of which the slowest success is kept."""
MAX_SLOWEST = 12

HOUR_SECONDS = 3600.0
BUDGET_PERIOD_SECONDS = 30 * 24 * HOUR_SECONDS
"""Seconds for which a budget lasts: as long as the events are counted."""


class StatusWindow(StrEnum):
    """How far one looks back."""

    FIVE_MINUTES = "5m"
    HOUR = "1h"
    KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveStatus:
    """How a promise has been kept: events by window, all that were charged to the model."""

    objective: Objective
    counts: Mapping[StatusWindow, GoodBad]
    covered: float
    """Seconds that the longest window really covers; the others no more than that."""

    def met(self, window: StatusWindow) -> bool | None:
        """None where nothing happened."""
        ratio = self.counts[window].ratio
        return None if ratio is None else ratio >= self.objective.target

    @property
    def budget_left(self) -> float | None:
        """The share of bad events that the events kept allow and that has not been spent.

        1 is all of it, 0 none, and below 0 the promise is broken; None where nothing happened.
        """
        ratio = self.counts[StatusWindow.KEPT].ratio
        return None if ratio is None else 1 - (1 - ratio) / (1 - self.objective.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeHistory:
    """What is remembered of one probe, at one moment."""

    probe: Probe
    standings: tuple[ObjectiveStatus, ...]
    _recent: tuple[bytes, ...]
    _slowest: tuple[bytes, ...]
    _failures: tuple[FailedResult, ...]

    def glances(self) -> list[ResultSummary]:
        """The last results in the order in which they came back, with what a plot needs."""
        return list(map(read_summary, self._recent))

    def recent(self) -> list[Result]:
        """The last results in the order in which they came back."""
        return self._unpacked(self._recent)

    def slowest(self) -> list[Result]:
        """The slowest success of each five minutes of the last hour, the slowest first."""
        return self._unpacked(sorted(self._slowest, key=_latency, reverse=True))

    def failures(self) -> list[Result]:
        """The latest failures and the first ones of outages, the last one first; those of which
        it is kept with their excerpt.
        """
        return [
            dataclasses.replace(unpack(self.probe.name, one.packed), excerpt=one.excerpt)
            for one in reversed(self._failures)
        ]

    def _unpacked(self, results: Iterable[bytes]) -> list[Result]:
        return [unpack(self.probe.name, packed) for packed in results]


@dataclass(slots=True)
class _Promise:
    """An objective and how it has been kept since then (seconds)."""

    objective: Objective
    since: float
    hour: SlidingWindowCounter = field(
        default_factory=lambda: SlidingWindowCounter(slot=15, slots=240)
    )
    period: SlidingWindowCounter = field(
        default_factory=lambda: SlidingWindowCounter(
            slot=HOUR_SECONDS, slots=int(BUDGET_PERIOD_SECONDS / HOUR_SECONDS)
        )
    )

    def judge(self, result: Result, now: float) -> None:
        limit = self.objective.latency
        good = result.failure is None and (limit is None or result.latency <= limit)
        self.hour.add(now, good=good)
        self.period.add(now, good=good)

    def standing(self, now: float) -> ObjectiveStatus:
        return ObjectiveStatus(
            objective=self.objective,
            counts={
                StatusWindow.FIVE_MINUTES: self.hour.last(now, HOUR_SECONDS / 12),
                StatusWindow.HOUR: self.hour.last(now, HOUR_SECONDS),
                StatusWindow.KEPT: self.period.last(now, BUDGET_PERIOD_SECONDS),
            },
            covered=min(now - self.since, BUDGET_PERIOD_SECONDS),
        )


@dataclass(slots=True)
class _Memory:
    """What is remembered of one probe, and goes on being added to."""

    probe: Probe
    promises: Sequence[_Promise]
    recent: deque[bytes] = field(default_factory=lambda: deque(maxlen=MAX_RESULTS))
    slowest: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=MAX_SLOWEST))
    failures: FailureLog = field(default_factory=FailureLog)

    def add(self, result: Result, packed: bytes, now: float) -> None:
        self.recent.append(packed)
        if result.failure is None:
            self._compare(packed, int(now / SLOWEST_WINDOW_SECONDS))
            self.failures.succeeded()
        else:
            self.failures.add(FailedResult(packed, result.excerpt))
        if result.failure is None or result.failure.reason.charged:
            for promise in self.promises:
                promise.judge(result, now)

    def _compare(self, packed: bytes, slot: int) -> None:
        """Keep a success if it is the slowest of its time."""
        if not self.slowest or self.slowest[-1][0] != slot:
            self.slowest.append((slot, packed))
        elif _latency(packed) > _latency(self.slowest[-1][1]):
            self.slowest[-1] = (slot, packed)

    def kept(self, now: float) -> ProbeHistory:
        oldest = int(now / SLOWEST_WINDOW_SECONDS) - MAX_SLOWEST
        return ProbeHistory(
            probe=self.probe,
            standings=tuple(promise.standing(now) for promise in self.promises),
            _recent=tuple(self.recent),
            _slowest=tuple(packed for slot, packed in self.slowest if slot > oldest),
            _failures=self.failures.remembered(),
        )


class History:
    """Remembers results, and shows what it remembers, from any thread."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is a monotonic clock in seconds."""
        self._now = now
        self._lock = threading.Lock()
        self._memories: dict[str, _Memory] = {}

    def watch(self, probe: Probe) -> None:
        """Remember a probe from now on.

        One that is known keeps its results; an objective whose threshold moved begins anew, as
        does its series.
        """
        with self._lock:
            known = self._memories.get(probe.name)
            promises = [
                _promise(objective, known.promises if known else (), self._now())
                for objective in probe.objectives
            ]
            memory = known or _Memory(probe, promises)
            memory.probe, memory.promises = probe, promises
            self._memories[probe.name] = memory

    def forget(self, name: str) -> None:
        """Forget a probe: what still comes back of it is not remembered."""
        with self._lock:
            self._memories.pop(name, None)

    def finished(self, result: Result) -> None:
        """A scheduled probe has come back."""
        packed = pack(result)
        with self._lock:
            if result.probe in self._memories:
                self._memories[result.probe].add(result, packed, self._now())

    def of(self, name: str) -> ProbeHistory | None:
        """What is remembered of this probe; None where it is not known."""
        with self._lock:
            memory = self._memories.get(name)
            return memory.kept(self._now()) if memory else None


def _promise(objective: Objective, known: Iterable[_Promise], now: float) -> _Promise:
    """A promise that goes on from one that was known, or a new one."""
    for one in known:
        if (one.objective.name, one.objective.latency) == (objective.name, objective.latency):
            return dataclasses.replace(one, objective=objective)
    return _Promise(objective, now)


def _latency(packed: bytes) -> float:
    return read_summary(packed).latency
