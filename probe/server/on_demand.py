"""Probes that somebody asks for: at most one request of their own in each interval.

A crawler that finds `/probe` must not spend somebody's tokens; asking again within the probe's
interval gives the last answer again.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import anyio
import anyio.to_thread

from probe.result import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemandTarget:
    """What can be asked for: how to run it and how long (seconds) an answer stands."""

    run: Callable[[], Result]
    interval: float


class OnDemandProbe:
    """Runs targets one at a time each, on threads, and keeps the last answer. One event loop's."""

    def __init__(
        self, target: OnDemandTarget, now: Callable[[], float], limiter: anyio.CapacityLimiter
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
            self._last = await anyio.to_thread.run_sync(
                self._run, abandon_on_cancel=True, limiter=self._limiter
            )
            return self._last[1], False

    def _run(self) -> tuple[float, Result]:
        """When it began, which may be long after it was asked for, and what came of it."""
        return self._now(), self._target.run()


class OnDemandProbes:
    """An OnDemand for each target that there is at present. One that is changed begins anew."""

    def __init__(
        self,
        targets: Callable[[], Mapping[str, OnDemandTarget]],
        now: Callable[[], float],
        most: int,
    ) -> None:
        """`now` is a monotonic clock in seconds; no more than `most` run at once."""
        self._targets = targets
        self._now = now
        self._limiter = anyio.CapacityLimiter(most)
        self._asked: dict[str, tuple[OnDemandTarget, OnDemandProbe]] = {}

    def names(self) -> list[str]:
        return list(self._targets())

    def of(self, name: str) -> OnDemandProbe | None:
        """None where there is no target of that name."""
        targets = self._targets()
        for gone in self._asked.keys() - targets.keys():
            del self._asked[gone]
        target = targets.get(name)
        if target is None:
            return None
        known, asked = self._asked.get(name, (None, None))
        if asked is None or known != target:
            asked = OnDemandProbe(target, self._now, self._limiter)
            self._asked[name] = target, asked
        return asked
