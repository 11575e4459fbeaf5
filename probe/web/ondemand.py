"""Probes that somebody asks for: at most one request of their own in each interval.

A crawler that finds `/probe` must not spend somebody's tokens; asking again within the probe's
interval gives the last answer again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import anyio
import anyio.to_thread

from probe.vocabulary import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What can be asked for: how to run it and how long (seconds) an answer stands."""

    run: Callable[[], Result]
    interval: float


class OnDemand:
    """Runs targets one at a time each, on threads, and keeps the last answer. One event loop's."""

    def __init__(
        self, target: Target, now: Callable[[], float], limiter: anyio.CapacityLimiter
    ) -> None:
        """`now` is a monotonic clock in seconds; `limiter` is shared by all, but by no scrape."""
        self._target = target
        self._now = now
        self._limiter = limiter
        self._turn = asyncio.Lock()
        self._last: tuple[float, Result] | None = None

    async def ask(self) -> tuple[Result, bool]:
        """An answer, and whether it is one that was given before.

        Who asks while a run is under way waits for its answer and does not start another.
        """
        async with self._turn:
            if self._last and self._now() < self._last[0] + self._target.interval:
                return self._last[1], True
            started = self._now()
            result = await anyio.to_thread.run_sync(
                self._target.run, abandon_on_cancel=True, limiter=self._limiter
            )
            self._last = (started, result)
            return result, False
