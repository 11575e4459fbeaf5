"""Calls of blocking functions on threads, for coroutines."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from probe.threads import ThreadCache

T = TypeVar("T")


class WorkerThreads:
    """Runs functions on daemon threads. Belongs to one event loop.

    `asyncio.to_thread` would wait for a hanging function when the daemon stops. anyio does not, but
    its threads need 1 MB of memory.
    """

    def __init__(self, limit: int) -> None:
        """At most `limit` functions run at a time, unless callers are cancelled."""
        self._free = asyncio.Semaphore(limit)
        self._threads = ThreadCache("web-worker")

    async def run(self, function: Callable[[], T]) -> T:
        """Return the value of `function`, or raise its exception.

        If the caller is cancelled, the function runs on, and its value is dropped.
        """
        async with self._free:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[T] = loop.create_future()

            def call() -> None:
                try:
                    settle: tuple[Callable[[Any], None], Any] = future.set_result, function()
                except Exception as error:  # noqa: BLE001  (the caller raises it)
                    settle = future.set_exception, error
                with suppress(RuntimeError):  # the loop has been closed
                    loop.call_soon_threadsafe(_settle, future, *settle)

            self._threads.submit(call)
            return await future


def _settle(future: "asyncio.Future[Any]", settle: Callable[[Any], None], value: object) -> None:
    if not future.cancelled():
        settle(value)
