"""Probes requested with `/probe`: at most one run per probe and interval.

A request within the interval gets the last result, so that a crawler that finds `/probe` cannot
cause load or cost on the model.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from probe.result import Result
from probe.server.worker_threads import WorkerThreads


class OnDemandRefused(Exception):
    """A run was refused. The message says why, for users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDemandTarget:
    """A probe that can be requested: how to run it, and its `interval` (seconds)."""

    run: Callable[[], Result]
    """Raises OnDemandRefused."""
    interval: float


class OnDemandProbe:
    """Runs one target and caches its last result. Belongs to one event loop.

    There is one run at a time, unless a request is cancelled.
    """

    def __init__(
        self, target: OnDemandTarget, now: Callable[[], float], threads: WorkerThreads
    ) -> None:
        """`now` is a monotonic clock in seconds. `threads` are shared by all on-demand probes."""
        self._target = target
        self._now = now
        self._threads = threads
        self._lock = asyncio.Lock()
        self._last: tuple[float, Result] | None = None

    async def run_or_cached(self) -> tuple[Result, bool]:
        """Return a result, and whether it is cached. Raises OnDemandRefused.

        A caller that arrives during a run waits for its result instead of starting another run.
        """
        async with self._lock:
            if self._last and self._now() < self._last[0] + self._target.interval:
                return self._last[1], True
            self._last = await self._threads.run(self._run)
            return self._last[1], False

    def _run(self) -> tuple[float, Result]:
        """Return the start (seconds), which may be long after the request, and the result."""
        return self._now(), self._target.run()


class OnDemandProbes:
    """The on-demand probes by name. A target that changes loses its cached result."""

    def __init__(
        self,
        targets: Callable[[], Mapping[str, OnDemandTarget]],
        now: Callable[[], float],
        max_concurrent: int,
    ) -> None:
        """`now` is a monotonic clock in seconds; at most `max_concurrent` probes run at a time."""
        self._targets = targets
        self._now = now
        self._threads = WorkerThreads(max_concurrent)
        self._probes: dict[str, tuple[OnDemandTarget, OnDemandProbe]] = {}

    def names(self) -> list[str]:
        return list(self._targets())

    def get(self, name: str) -> OnDemandProbe | None:
        """Return the probe of the current target `name`; None if there is no such target."""
        targets = self._targets()
        for removed in self._probes.keys() - targets.keys():
            del self._probes[removed]
        target = targets.get(name)
        if target is None:
            return None
        known_target, probe = self._probes.get(name, (None, None))
        if probe is None or known_target != target:
            probe = OnDemandProbe(target, self._now, self._threads)
            self._probes[name] = target, probe
        return probe
