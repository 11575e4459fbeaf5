"""One execution of a piece of work for all requests that need it at the same time."""

import asyncio
import threading
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

from probe.server.worker_threads import WorkerThreads

T = TypeVar("T")

# For calls with precedence. Longer than a scrape takes, unless the host is overloaded.
MAX_PRECEDENCE_SECONDS = 5.0

# Pause between the end of one execution and the start of the next one: a multiple of the duration
# of the first, and a limit. Clients that request pages all the time then leave CPU time to probes.
PAUSE_PER_EXECUTION = 3
MAX_PAUSE_SECONDS = 0.5


class SingleFlight(Generic[T]):
    """Runs work on threads, and shares one result between concurrent callers with the same key.

    Many clients cost as much as one. A caller never gets a result whose computation started before
    its call, unless it started less than `max_age_seconds` ago: callers that arrive during a
    computation share the next one. Belongs to one event loop.
    """

    def __init__(
        self,
        threads: int,
        *,
        max_age_seconds: float,
        now: Callable[[], float],
        waits_for: "SingleFlight[Any] | None" = None,
    ) -> None:
        """`now` is a monotonic clock in seconds.

        An execution waits until `waits_for` has no calls, for MAX_PRECEDENCE_SECONDS at most.
        """
        self._threads = WorkerThreads(threads)
        self._max_age_seconds = max_age_seconds
        self._now = now
        self._waits_for = waits_for
        self._calls: dict[Hashable, _Call[T]] = {}
        # Until this time (monotonic seconds) no execution starts.
        self._paused_until = now()
        self._pending = 0
        self._idle = threading.Event()
        self._idle.set()

    def __len__(self) -> int:
        """Return the number of calls in progress and of results that can still be shared."""
        return len(self._calls)

    async def run(self, key: Hashable, work: Callable[[], T]) -> T:
        """Return the result of `work`, or of an equivalent call with the same `key`.

        Raises what `work` raises.
        """
        call = self._calls.get(key)
        if call is None or self._remaining_seconds(call) <= 0:
            self._pending += 1
            self._idle.clear()
            call = self._calls[key] = _Call(work, self._now)
            call.task = asyncio.create_task(self._run(key, call))
            call.task.add_done_callback(self._end)
        # Shielded: other callers still wait for the task if this one is cancelled.
        return await asyncio.shield(call.task)

    def _remaining_seconds(self, call: "_Call[T]") -> float:
        """Return the time for which new callers can join `call`; positive until it has started."""
        return 1.0 if call.started is None else call.started + self._max_age_seconds - self._now()

    async def _run(self, key: Hashable, call: "_Call[T]") -> T:
        remaining_seconds = 0.0
        await asyncio.sleep(self._paused_until - self._now())
        try:
            result = await self._threads.run(partial(self._execute, call))
            remaining_seconds = self._remaining_seconds(call)
        finally:
            asyncio.get_running_loop().call_later(remaining_seconds, self._forget, key, call)
        return result

    def _execute(self, call: "_Call[T]") -> T:
        if self._waits_for:
            self._waits_for._idle.wait(MAX_PRECEDENCE_SECONDS)
        try:
            return call.execute()
        finally:
            ended = self._now()
            assert call.started is not None, "it has been executed"
            pause_seconds = PAUSE_PER_EXECUTION * (ended - call.started)
            self._paused_until = ended + min(pause_seconds, MAX_PAUSE_SECONDS)

    def _end(self, _: asyncio.Task[T]) -> None:
        self._pending -= 1
        if not self._pending:
            self._idle.set()

    def _forget(self, key: Hashable, call: "_Call[T]") -> None:
        if self._calls.get(key) is call:
            del self._calls[key]


class _Call(Generic[T]):
    """One execution of the work; `started` is None while it waits for a thread."""

    task: asyncio.Task[T]

    def __init__(self, work: Callable[[], T], now: Callable[[], float]) -> None:
        self._work = work
        self._now = now
        self.started: float | None = None

    def execute(self) -> T:
        self.started = self._now()
        return self._work()
