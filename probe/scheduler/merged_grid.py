"""Due times of all probes in one order.

They are in a heap, so that a due time costs the same with 10,000 probes as with 10.
"""

import heapq
import itertools
import logging
import threading
from collections.abc import Callable

from probe.scheduler.grid import Grid

logger = logging.getLogger(__name__)

# `ProbeRunner.on_due`: takes a due time (monotonic, ns) and the number of missed ones before it.
OnDue = Callable[[int, int], None]


class GridEntry:
    """A grid of a `MergedGrid`, with the function that is called at its due times."""

    __slots__ = ("grid", "on_due")

    def __init__(self, grid: Grid, on_due: OnDue) -> None:
        self.grid = grid
        self.on_due: OnDue | None = on_due
        """None after the removal."""


class MergedGrid:
    """Calls functions at the due times of their grids. Thread-safe.

    The first grid is never removed.
    """

    def __init__(self, grid: Grid, on_due: OnDue, *, now: int) -> None:
        """Start with one grid, as `add` does."""
        # Held during calls, so that none follows `remove`. Reentrant, for changes by a call.
        self._lock = threading.RLock()
        # The next due time (ns) of each entry, and the order of equal due times.
        self._heap: list[tuple[int, int, GridEntry]] = []
        self._numbers = itertools.count()
        # Removed entries in the heap. The entry that is due next is never one of them.
        self._removed = 0
        self.add(grid, on_due, now=now)

    @property
    def next_due(self) -> int:
        """Next due time of all grids (ns)."""
        with self._lock:
            return self._heap[0][0]

    def add(self, grid: Grid, on_due: OnDue, *, now: int) -> tuple[GridEntry, bool]:
        """Call `on_due` at the due times of `grid` after `now` (ns).

        Return the entry, and whether its due time is the next one of all.
        """
        entry = GridEntry(grid, on_due)
        with self._lock:
            heapq.heappush(self._heap, (grid.next_after(now), next(self._numbers), entry))
            return entry, self._heap[0][2] is entry

    def remove(self, entry: GridEntry) -> None:
        """Do not call the function of `entry` any more."""
        with self._lock:
            entry.on_due = None
            self._removed += 1
            self._drop_removed()
            # The position of an entry is not known, so it stays in the heap until it is due, maybe
            # for a day. Removing all of them now and then costs little per entry.
            if self._removed > len(self._heap) // 2:
                self._rebuild([item for item in self._heap if item[2].on_due])

    def skip_until(self, now: int) -> None:
        """Continue with the due times after `now` (ns), without calls for those before."""
        with self._lock:
            self._rebuild(
                [
                    (entry.grid.next_after(now), number, entry)
                    for _, number, entry in self._heap
                    if entry.on_due
                ]
            )

    def call_due(self, now: int) -> int:
        """Call the functions of the grids that have come due until `now` (ns), by due time.

        Each is called once, with the last due time and the number of those before it: after a
        suspension of hours there may be hundreds of thousands. Return the next due time (ns).
        """
        with self._lock:
            while (item := self._heap[0])[0] <= now:
                due, number, entry = item
                interval, on_due = entry.grid.interval, entry.on_due
                missed = (now - due) // interval
                last = due + missed * interval
                heapq.heapreplace(self._heap, (last + interval, number, entry))
                if self._removed:
                    self._drop_removed()
                assert on_due, "the first entry is not a removed one"
                try:
                    on_due(last, missed)
                except Exception:
                    logger.exception("bug: a tick raised an exception")
            return item[0]

    def _drop_removed(self) -> None:
        """Drop removed entries until the first one is not removed."""
        while self._heap[0][2].on_due is None:
            heapq.heappop(self._heap)
            self._removed -= 1

    def _rebuild(self, items: list[tuple[int, int, GridEntry]]) -> None:
        """Replace the heap by `items`, without removed entries."""
        heapq.heapify(items)
        self._heap, self._removed = items, 0
