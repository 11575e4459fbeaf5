"""Queue of the responses that wait for the worker process. Probes share its time equally.

An endpoint whose responses are expensive to evaluate must neither take the places of other probes
nor delay them by more than one evaluation. The order is that of start-time fair queueing (Goyal,
1996): the response with the lowest start tag is next. A start tag is the virtual time at which the
response arrived, or the finish tag of the last response of the same probe, if that is later. A
finish tag is the start tag plus the time in the worker process. The virtual time is the start tag
of the response that is evaluated.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Responses that wait for the worker process or are evaluated by it, of all probes and of one.
MAX_WAITING = 32
MAX_WAITING_PER_PROBE = 4

# From here on, only probes that have no response in the queue find a place.
MAX_WAITING_OF_BUSY_PROBES = 16

# Probes that a message names.
MAX_NAMES_SHOWN = 3


class QueueFull(Exception):
    """Too many responses wait. The message is for users."""


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    probe: str
    arrived: float
    """Virtual time."""


class WorkerQueue:
    """Gives one response at a time its turn."""

    def __init__(self) -> None:
        self._condition = threading.Condition()  # for all below
        self._waiting: list[_Place] = []
        self._current: _Place | None = None
        self._started = 0.0
        # Seconds since the queue was last empty. By probe: the finish tag of the last response, and
        # the time in the worker process.
        self._virtual_time = 0.0
        self._finish_tags: dict[str, float] = {}
        self._worker_seconds: dict[str, float] = {}

    def __len__(self) -> int:
        """Return the number of responses that wait or are evaluated."""
        return len(self._probes())

    @contextmanager
    def turn(self, probe: str) -> Iterator[None]:
        """Wait until it is the turn of a response of `probe`. Raises QueueFull at a limit."""
        with self._condition:
            self._check_limits(probe)
            place = _Place(probe, self._virtual_time)
            self._waiting.append(place)
            try:
                self._condition.wait_for(lambda: self._is_next(place))
            finally:
                self._waiting.remove(place)
            self._current, self._started = place, time.monotonic()
            self._virtual_time = self._start_tag(place)
        try:
            yield
        finally:
            with self._condition:
                self._finish(place)

    def _probes(self) -> list[str]:
        """Return the probe of each response."""
        current = [self._current] if self._current else []
        return [place.probe for place in current + self._waiting]

    def _check_limits(self, probe: str) -> None:
        total = len(self)
        own = self._probes().count(probe)
        limit = MAX_WAITING_OF_BUSY_PROBES if own else MAX_WAITING
        if total >= limit or own >= MAX_WAITING_PER_PROBE:
            raise QueueFull(
                f"{total} responses, {own} of them of this probe, wait for their evaluation, which"
                f" takes longest for {', '.join(self._busiest_probes())}; simplify the patterns and"
                " paths in their expect and server_timing, or probe them less often"
            )

    def _is_next(self, place: _Place) -> bool:
        return self._current is None and min(self._waiting, key=self._start_tag) is place

    def _start_tag(self, place: _Place) -> float:
        return max(place.arrived, self._finish_tags.get(place.probe, 0.0))

    def _finish(self, place: _Place) -> None:
        self._worker_seconds = self._seconds_by_probe()
        self._finish_tags[place.probe] = self._virtual_time + time.monotonic() - self._started
        self._current = None
        if not self._waiting:
            self._virtual_time = 0.0
            self._finish_tags.clear()
            self._worker_seconds.clear()
        self._condition.notify_all()

    def _seconds_by_probe(self) -> dict[str, float]:
        """Return the time in the worker process, with that of the current evaluation."""
        seconds = self._worker_seconds.copy()
        if self._current is not None:
            probe = self._current.probe
            seconds[probe] = seconds.get(probe, 0.0) + time.monotonic() - self._started
        return seconds

    def _busiest_probes(self) -> list[str]:
        seconds = self._seconds_by_probe()
        return sorted(seconds, key=seconds.__getitem__, reverse=True)[:MAX_NAMES_SHOWN]
