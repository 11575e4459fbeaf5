"""Queue of the responses that wait for the worker process. Probes take turns.

An endpoint whose responses are expensive to evaluate must not take the places of other probes.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

# Responses that wait for the worker process or are evaluated by it, of all probes and of one.
MAX_WAITING = 32
MAX_WAITING_PER_PROBE = 2

# From here on, only probes that have no response in the queue find a place.
MAX_WAITING_OF_BUSY_PROBES = 16

# Probes that a message names.
MAX_NAMES_SHOWN = 3


class QueueFull(Exception):
    """Too many responses wait. The message is for users."""


class WorkerQueue:
    """Gives one response at a time its turn."""

    def __init__(self) -> None:
        self._condition = threading.Condition()  # for all below
        # By probe, in the order of their turns.
        self._waiting: dict[str, deque[object]] = {}
        self._current: str | None = None
        self._started = 0.0
        # By probe, since the queue was last empty.
        self._worker_seconds: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return the number of responses that wait or are evaluated."""
        return sum(map(len, self._waiting.values())) + (self._current is not None)

    @contextmanager
    def turn(self, probe: str) -> Iterator[None]:
        """Wait until it is the turn of a response of `probe`. Raises QueueFull at a limit."""
        place = object()
        with self._condition:
            self._check_limits(probe)
            self._waiting.setdefault(probe, deque()).append(place)
            try:
                self._condition.wait_for(lambda: self._is_next(probe, place))
            except BaseException:
                self._leave(probe, place)
                raise
            self._begin(probe)
        try:
            yield
        finally:
            with self._condition:
                self._finish()

    def _check_limits(self, probe: str) -> None:
        total = len(self)
        own = len(self._waiting.get(probe, ())) + (probe == self._current)
        limit = MAX_WAITING_OF_BUSY_PROBES if own else MAX_WAITING
        if total >= limit or own >= MAX_WAITING_PER_PROBE:
            raise QueueFull(
                f"{total} responses, {own} of them of this probe, wait for their evaluation, which"
                f" takes longest for {', '.join(self._busiest_probes())}; simplify the patterns and"
                " paths in their expect and server_timing, or probe them less often"
            )

    def _is_next(self, probe: str, place: object) -> bool:
        return (
            self._current is None
            and next(iter(self._waiting)) == probe
            and self._waiting[probe][0] is place
        )

    def _begin(self, probe: str) -> None:
        self._leave(probe, self._waiting[probe][0])
        self._current, self._started = probe, time.monotonic()

    def _leave(self, probe: str, place: object) -> None:
        """Remove a place. The probe's next one is after those of the other probes."""
        places = self._waiting.pop(probe)
        places.remove(place)
        if places:
            self._waiting[probe] = places
        self._condition.notify_all()

    def _finish(self) -> None:
        self._worker_seconds = self._seconds_by_probe()
        self._current = None
        if not self._waiting:
            self._worker_seconds.clear()
        self._condition.notify_all()

    def _seconds_by_probe(self) -> Counter[str]:
        """Return the time in the worker process, with that of the current evaluation."""
        seconds = self._worker_seconds.copy()
        if self._current is not None:
            seconds[self._current] += time.monotonic() - self._started  # type: ignore[assignment]
        return seconds

    def _busiest_probes(self) -> list[str]:
        return [probe for probe, _ in self._seconds_by_probe().most_common(MAX_NAMES_SHOWN)]
