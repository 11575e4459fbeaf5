"""The batches of a model server: a queue that is processed one batch at a time.

All times are arguments, in seconds of one clock. The same queue therefore serves requests in real
time and simulations in virtual time. A batch starts and ends at exactly the times that follow from
the arrivals, also if `advance` is called later, so that delays of the caller do not add up.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

# A batch of n requests takes BATCH_OVERHEAD_SECONDS + n * BATCH_ITEM_SECONDS.
BATCH_OVERHEAD_SECONDS = 0.006
BATCH_ITEM_SECONDS = 0.004

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """When a batch starts: with `max_batch_size` requests, or after `max_wait_seconds`.

    The wait begins with the arrival of the oldest request. With a `max_batch_size` of 1 no request
    waits for others.
    """

    max_batch_size: int = 8
    max_wait_seconds: float = 0.020


@dataclass(frozen=True, slots=True)
class Arrival(Generic[T]):
    """A request and the time at which it arrived."""

    request: T
    at: float


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Requests that are processed together, from `started` to `ended`."""

    arrivals: tuple[Arrival[T], ...]
    started: float

    @property
    def compute_seconds(self) -> float:
        return BATCH_OVERHEAD_SECONDS + len(self.arrivals) * BATCH_ITEM_SECONDS

    @property
    def ended(self) -> float:
        return self.started + self.compute_seconds


class BatchQueue(Generic[T]):
    """Requests that wait, and the batch that is being processed."""

    def __init__(self, settings: BatchSettings) -> None:
        self._settings = settings
        self._waiting: deque[Arrival[T]] = deque()
        self._running: Batch[T] | None = None
        self._idle_since = float("-inf")

    def add(self, request: T, now: float) -> None:
        """Add a request that arrives at `now`, which is not before the latest arrival."""
        self._waiting.append(Arrival(request, now))

    def advance(self, now: float) -> list[Batch[T]]:
        """Start and end the batches that are due, and return those that have ended."""
        ended = []
        while (due := self.next_change()) is not None and due <= now:
            if self._running:
                ended.append(self._running)
                self._running, self._idle_since = None, due
            else:
                self._running = Batch(self._take(due), due)
        return ended

    def next_change(self) -> float | None:
        """Return when a batch ends or starts next; None if the queue is empty and idle."""
        if self._running:
            return self._running.ended
        if not self._waiting:
            return None
        return max(self._idle_since, self._batch_ready())

    def _batch_ready(self) -> float:
        """Return when the waiting requests may start: when they are enough, or wait too long."""
        size = self._settings.max_batch_size
        timeout = self._waiting[0].at + self._settings.max_wait_seconds
        is_full = len(self._waiting) >= size
        return min(timeout, self._waiting[size - 1].at) if is_full else timeout

    def _take(self, now: float) -> tuple[Arrival[T], ...]:
        """Remove and return the requests of a batch that starts at `now`."""
        waiting = self._waiting
        taken: list[Arrival[T]] = []
        while waiting and waiting[0].at <= now and len(taken) < self._settings.max_batch_size:
            taken.append(waiting.popleft())
        return tuple(taken)
