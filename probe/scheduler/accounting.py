"""The account of every tick: what came due is finished, skipped for a reason, or in flight."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from probe.result import SkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class TickCounts:
    """One probe's ticks at one moment: `ticks == runs + sum(skipped) + in_flight`, always."""

    ticks: int
    runs: int
    skipped: Mapping[SkipReason, int]
    in_flight: int


class ProbeTicks:
    """One probe's counts. Each method is one entry, so that no reader ever sees half of one.

    In a closed book nothing is in flight any more: what comes back later does not count.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._ticks = 0
        self._runs = 0
        self._skipped: Counter[SkipReason] = Counter()
        self._in_flight = 0
        self._closed = False

    def skip(self, reason: SkipReason) -> None:
        """A tick came due and is not run."""
        with self._lock:
            self._ticks += 1
            self._skipped[reason] += 1

    def begin(self, *, limit: int) -> bool:
        """A tick came due: in flight, or skipped where `limit` runs of the probe already are."""
        with self._lock:
            self._ticks += 1
            skip = self._reason(limit)
            if skip:
                self._skipped[skip] += 1
            else:
                self._in_flight += 1
            return skip is None

    def _reason(self, limit: int) -> SkipReason | None:
        if self._closed:
            return SkipReason.SHUTDOWN
        return SkipReason.OVERLAP if self._in_flight >= limit else None

    def finish(self) -> bool:
        """A run in flight came back; False when it was given up before, and does not count."""
        with self._lock:
            if self._closed:
                return False
            self._in_flight -= 1
            self._runs += 1
            return True

    def abandon(self, reason: SkipReason) -> None:
        """A tick in flight is given up before it became a request."""
        with self._lock:
            if not self._closed:
                self._in_flight -= 1
                self._skipped[reason] += 1

    # For the ledger, which holds the lock meanwhile.

    def close(self) -> None:
        self._closed = True
        self._skipped[SkipReason.SHUTDOWN] += self._in_flight
        self._in_flight = 0

    def account(self) -> TickCounts:
        return TickCounts(
            ticks=self._ticks,
            runs=self._runs,
            skipped={skip: self._skipped[skip] for skip in SkipReason},
            in_flight=self._in_flight,
        )


class TickAccounting:
    """The books of all probes, under one lock: what it tells of them is all of the same moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._books: dict[str, ProbeTicks] = {}

    def open(self, probe: str) -> ProbeTicks:
        """A new book, all of it at 0."""
        with self._lock:
            book = self._books[probe] = ProbeTicks(self._lock)
            return book

    def drop(self, probe: str) -> None:
        """Forget a probe; its runs in flight will not count, also where the name comes back."""
        with self._lock:
            self._books.pop(probe).close()

    def close(self) -> None:
        """Give up what is in flight, for good: `skipped{reason="shutdown"}`."""
        with self._lock:
            for book in self._books.values():
                book.close()

    def in_flight(self) -> int:
        """Runs of all probes that have not come back."""
        return sum(account.in_flight for account in self.accounts().values())

    def accounts(self) -> dict[str, TickCounts]:
        with self._lock:
            return {probe: book.account() for probe, book in self._books.items()}
