"""WorkerThreads: blocking functions on threads, for coroutines."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from probe.server.worker_threads import WorkerThreads


def run(scenario: Callable[[], Awaitable[Any]]) -> None:
    async def with_timeout() -> None:
        await asyncio.wait_for(scenario(), 30)

    asyncio.run(with_timeout())


def test_values_and_exceptions() -> None:
    """Both reach the caller, from a daemon thread."""

    async def scenario() -> None:
        threads = WorkerThreads(1)
        assert await threads.run(lambda: threading.current_thread().daemon)
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 / 0)
        assert await threads.run(lambda: threading.current_thread() is not threading.main_thread())

    run(scenario)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_exceptions_that_end_programs(kind: type[BaseException]) -> None:
    """They reach the caller, too, and the next function can run."""

    def fail() -> None:
        raise kind("by the function")

    async def scenario() -> None:
        threads = WorkerThreads(1)
        with pytest.raises(kind, match="by the function"):
            await threads.run(fail)
        assert await threads.run(lambda: "free") == "free"

    run(scenario)


def test_stop_iteration() -> None:
    """It becomes a RuntimeError: a coroutine that raises it would return instead."""

    async def scenario() -> None:
        threads = WorkerThreads(1)
        with pytest.raises(RuntimeError, match="the function raised StopIteration") as raised:
            await threads.run(partial(next, iter(())))
        assert isinstance(raised.value.__cause__, StopIteration)
        assert await threads.run(lambda: "free") == "free"

    run(scenario)


def test_the_limit() -> None:
    """The third function runs after one of the first two."""

    async def scenario() -> None:
        threads, started, go = WorkerThreads(2), threading.Semaphore(0), threading.Semaphore(0)

        def work() -> bool:
            started.release()
            return go.acquire(timeout=10)

        tasks = [asyncio.create_task(threads.run(work)) for _ in range(3)]
        for _ in range(2):
            await asyncio.to_thread(started.acquire, timeout=10)
        assert not await asyncio.to_thread(started.acquire, timeout=0.1)
        go.release()
        assert await asyncio.to_thread(started.acquire, timeout=10)
        go.release(2)
        assert await asyncio.gather(*tasks) == [True] * 3

    run(scenario)


def test_a_cancelled_caller() -> None:
    """It does not wait for the function, and another caller need not either."""

    async def scenario() -> None:
        threads, started, go = WorkerThreads(1), threading.Event(), threading.Event()

        def work() -> None:
            started.set()
            go.wait(10)

        task = asyncio.create_task(threads.run(work))
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert await threads.run(lambda: "free") == "free"
        go.set()

    run(scenario)
