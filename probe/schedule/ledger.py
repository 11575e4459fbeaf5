"""The account of every tick: what came due is finished, skipped for a reason, or in flight."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from probe.vocabulary import Skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One probe's ticks at one moment: `ticks == runs + sum(skipped) + in_flight`, always."""

    ticks: int
    runs: int
    skipped: Mapping[Skip, int]
    in_flight: int


@dataclass(slots=True)
class _Entries:
    ticks: int = 0
    runs: int = 0
    skipped: Counter[Skip] = field(default_factory=Counter)
    in_flight: int = 0

    def account(self) -> Account:
        return Account(
            ticks=self.ticks,
            runs=self.runs,
            skipped={skip: self.skipped[skip] for skip in Skip},
            in_flight=self.in_flight,
        )


class Ledger:
    """Owns the counts. Each method is one entry, so that no reader ever sees half of one."""

    def __init__(self, probes: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._entries = {probe: _Entries() for probe in probes}
        self._closed = False

    def skip(self, probe: str, reason: Skip) -> None:
        """A tick came due and is not run."""
        with self._lock:
            entries = self._entries[probe]
            entries.ticks += 1
            entries.skipped[reason] += 1

    def begin(self, probe: str, *, limit: int) -> bool:
        """A tick came due: in flight, or skipped where `limit` runs of the probe already are."""
        with self._lock:
            entries = self._entries[probe]
            entries.ticks += 1
            skip = self._reason(entries, limit)
            if skip:
                entries.skipped[skip] += 1
            else:
                entries.in_flight += 1
            return skip is None

    def _reason(self, entries: _Entries, limit: int) -> Skip | None:
        if self._closed:
            return Skip.SHUTDOWN
        return Skip.OVERLAP if entries.in_flight >= limit else None

    def finish(self, probe: str) -> bool:
        """A run in flight came back; False when it was given up before, and does not count."""
        with self._lock:
            if self._closed:
                return False
            entries = self._entries[probe]
            entries.in_flight -= 1
            entries.runs += 1
            return True

    def abandon(self, probe: str, reason: Skip) -> None:
        """A tick in flight is given up before it became a request."""
        with self._lock:
            if not self._closed:
                entries = self._entries[probe]
                entries.in_flight -= 1
                entries.skipped[reason] += 1

    def close(self) -> None:
        """Give up what is in flight, for good: `skipped{reason="shutdown"}`."""
        with self._lock:
            self._closed = True
            for entries in self._entries.values():
                entries.skipped[Skip.SHUTDOWN] += entries.in_flight
                entries.in_flight = 0

    def in_flight(self) -> int:
        """Runs of all probes that have not come back."""
        with self._lock:
            return sum(entries.in_flight for entries in self._entries.values())

    def accounts(self) -> dict[str, Account]:
        """Every probe's account, all of the same moment."""
        with self._lock:
            return {probe: entries.account() for probe, entries in self._entries.items()}
