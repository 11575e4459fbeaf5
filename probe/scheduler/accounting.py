"""Accounting of due times.

A tick is one due time of a probe: a finished run, skipped for a reason, or in flight.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from probe.result import SkipReason
from probe.threads import yield_gil


@dataclass(frozen=True, slots=True, kw_only=True)
class TickCounts:
    """Consistent snapshot of one probe: `ticks == runs + sum(skipped.values()) + in_flight`."""

    ticks: int
    runs: int
    skipped: Mapping[SkipReason, int]
    in_flight: int


class ProbeTicks:
    """Tick counts of one probe.

    Each method makes one complete change under the lock, so that no snapshot shows half of one.
    After `close` nothing is in flight, and runs that return later do not count.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ticks = 0
        self._runs = 0
        self._skipped: Counter[SkipReason] = Counter()
        self._in_flight = 0
        self._closed = False

    def skip(self, reason: SkipReason, count: int = 1) -> None:
        """Count `count` ticks that came due and do not run."""
        with self._lock:
            self._ticks += count
            self._skipped[reason] += count

    def start(self, *, max_in_flight: int) -> bool:
        """Count one tick as in flight and return True, or count it as skipped and return False.

        The reason is `overlap` if `max_in_flight` runs are active, and `shutdown` after `close`.
        """
        with self._lock:
            self._ticks += 1
            reason = self._skip_reason(max_in_flight)
            if reason:
                self._skipped[reason] += 1
            else:
                self._in_flight += 1
            return reason is None

    def _skip_reason(self, max_in_flight: int) -> SkipReason | None:
        if self._closed:
            return SkipReason.SHUTDOWN
        return SkipReason.OVERLAP if self._in_flight >= max_in_flight else None

    @property
    def closed(self) -> bool:
        return self._closed

    def finish(self) -> None:
        """Count one run as finished, except after `close`: then it was counted as skipped."""
        with self._lock:
            if not self._closed:
                self._in_flight -= 1
                self._runs += 1

    def abandon(self, reason: SkipReason) -> None:
        """Count one tick in flight as skipped, because its run will not send a request."""
        with self._lock:
            if not self._closed:
                self._in_flight -= 1
                self._skipped[reason] += 1

    def close(self) -> None:
        """Count everything in flight as `shutdown`."""
        with self._lock:
            self._closed = True
            self._skipped[SkipReason.SHUTDOWN] += self._in_flight
            self._in_flight = 0

    def counts(self) -> TickCounts:
        """Return a consistent snapshot."""
        with self._lock:
            ticks, runs, in_flight = self._ticks, self._runs, self._in_flight
            skipped = dict(self._skipped)
        return TickCounts(
            ticks=ticks,
            runs=runs,
            skipped={reason: skipped.get(reason, 0) for reason in SkipReason},
            in_flight=in_flight,
        )


class TickAccounting:
    """Tick counts of all probes.

    Each probe has its own lock: a snapshot of thousands of probes takes tens of milliseconds, and
    must not delay the thread that starts their runs.
    """

    def __init__(self) -> None:
        # Guards the dict only.
        self._lock = threading.Lock()
        self._probes: dict[str, ProbeTicks] = {}

    def add_probe(self, name: str) -> ProbeTicks:
        """Return new counts for a probe, all of them 0."""
        with self._lock:
            ticks = self._probes[name] = ProbeTicks()
            return ticks

    def remove_probe(self, name: str) -> None:
        """Drop the counts of a probe. Its runs in flight do not count for a new probe `name`."""
        with self._lock:
            ticks = self._probes.pop(name)
        ticks.close()

    def close(self) -> None:
        """Count all ticks in flight of all probes as skipped with the reason `shutdown`."""
        for _, ticks in self._items():
            ticks.close()

    def in_flight(self) -> int:
        """Return the number of runs of all probes that have not returned."""
        return sum(counts.in_flight for counts in self.counts().values())

    def counts(self) -> dict[str, TickCounts]:
        """Return a snapshot by name. The counts of each probe are consistent."""
        return {name: ticks.counts() for name, ticks in yield_gil(self._items())}

    def _items(self) -> list[tuple[str, ProbeTicks]]:
        with self._lock:
            return list(self._probes.items())
