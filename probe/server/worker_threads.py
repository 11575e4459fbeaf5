"""Runs blocking functions on daemon threads, for coroutines."""

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
        self._slots = asyncio.Semaphore(limit)
        self._threads = ThreadCache("web-worker")

    async def run(self, function: Callable[[], T]) -> T:
        """Return the value of `function`, or raise its exception.

        If the caller is cancelled, the function runs on, and its value is dropped.
        """
        async with self._slots:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[T] = loop.create_future()

            def call() -> None:
                value, error = _call(function)
                with suppress(RuntimeError):  # the loop has been closed
                    loop.call_soon_threadsafe(_resolve, future, value, error)

            self._threads.submit(call)
            return await future


def _call(function: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """Return the value of `function`, or the exception for its caller."""
    try:
        return function(), None
    except StopIteration as error:  # coroutines cannot raise it
        replacement = RuntimeError("the function raised StopIteration")
        replacement.__cause__ = error
        return None, replacement
    except BaseException as error:  # noqa: BLE001  (the caller raises it)
        return None, error


def _resolve(future: "asyncio.Future[Any]", value: object, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
