"""SingleFlight: one execution of work for concurrent callers."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from probe.server.single_flight import SingleFlight

pytestmark = pytest.mark.timing


class Work:
    """Returns the number of the execution, each after a release of `go`."""

    def __init__(self) -> None:
        self.started = 0
        self.go = threading.Semaphore(0)

    def __call__(self) -> int:
        self.started += 1
        number = self.started
        assert self.go.acquire(timeout=10)
        return number

    async def wait_for_start(self, executions: int) -> None:
        deadline = time.monotonic() + 10
        while self.started < executions:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)


def single_flight(max_age_seconds: float = 0.0, threads: int = 1) -> SingleFlight[int]:
    return SingleFlight(threads, max_age_seconds=max_age_seconds, now=time.monotonic)


def call(flight: SingleFlight[int], work: Callable[[], int], key: str = "a") -> asyncio.Task[int]:
    return asyncio.create_task(flight.run(key, work))


def run(scenario: Callable[[], Awaitable[Any]]) -> None:
    async def with_timeout() -> None:
        await asyncio.wait_for(scenario(), 30)

    asyncio.run(with_timeout())


def test_callers_during_an_execution_share_the_next_one() -> None:
    """Fifty callers that arrive during an execution cause only one more."""

    async def scenario() -> None:
        work, flight = Work(), single_flight()
        first = call(flight, work)
        await work.wait_for_start(1)
        others = [call(flight, work) for _ in range(50)]
        await asyncio.sleep(0.1)
        work.go.release(2)
        assert await first == 1
        assert set(await asyncio.gather(*others)) == {2}
        assert work.started == 2

    run(scenario)


def test_without_a_maximum_age_each_call_executes() -> None:
    """A later caller never gets the result of an earlier execution."""

    async def scenario() -> None:
        work, flight = Work(), single_flight()
        work.go.release(3)
        assert [await call(flight, work) for _ in range(3)] == [1, 2, 3]

    run(scenario)


def test_a_result_is_shared_until_its_maximum_age() -> None:
    """The age counts from the start of the execution."""

    async def scenario() -> None:
        work, flight = Work(), single_flight(max_age_seconds=0.5)
        work.go.release(2)
        start = time.monotonic()
        numbers = [await call(flight, work) for _ in range(5)]
        assert numbers == [1] * 5 or time.monotonic() > start + 0.5
        await asyncio.sleep(0.6)
        assert await call(flight, work) == 2

    run(scenario)


def test_different_keys_share_the_threads() -> None:
    """Work with another key waits for a thread, in the order of the calls."""

    async def scenario() -> None:
        first_work, second_work, flight = Work(), Work(), single_flight()
        first = call(flight, first_work, "first")
        await first_work.wait_for_start(1)
        second = call(flight, second_work, "second")
        await asyncio.sleep(0.1)
        assert second_work.started == 0
        first_work.go.release()
        second_work.go.release()
        assert (await first, await second) == (1, 1)

    run(scenario)


def test_a_cancelled_caller_does_not_cancel_the_work() -> None:
    """Other callers still get the result."""

    async def scenario() -> None:
        work, flight = Work(), single_flight()
        busy = call(flight, work, "busy")
        await work.wait_for_start(1)
        first, later = call(flight, work), call(flight, work)
        await asyncio.sleep(0.1)
        first.cancel()
        work.go.release(2)
        assert (await busy, await later) == (1, 2)
        assert first.cancelled()

    run(scenario)


def test_an_exception_is_raised_for_all_callers() -> None:
    """An exception is not cached: the next call executes again."""

    async def scenario() -> None:
        work, flight = Work(), single_flight(max_age_seconds=60)

        def fail() -> int:
            raise OSError(work())

        failing = [call(flight, fail) for _ in range(5)]
        await work.wait_for_start(1)
        work.go.release(2)
        for task in failing:
            with pytest.raises(OSError, match="1"):
                await task
        assert await call(flight, work) == 2

    run(scenario)


@pytest.mark.parametrize("max_age_seconds", [0.0, 0.2])
def test_old_results_are_dropped(max_age_seconds: float) -> None:
    """Results older than the maximum age take no memory."""

    async def scenario() -> None:
        flight = single_flight(max_age_seconds)
        for number in range(100):
            await flight.run(number, lambda: 0)
        await asyncio.sleep(max_age_seconds + 0.1)
        assert len(flight) == 0

    run(scenario)


def test_an_execution_waits_for_calls_with_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work starts after the end of all calls that have precedence, or after the longest wait."""

    async def scenario() -> None:
        scrape, page, scrapes = Work(), Work(), single_flight()
        pages = SingleFlight[int](1, max_age_seconds=0.0, now=time.monotonic, waits_for=scrapes)
        page.go.release(2)
        scraping = call(scrapes, scrape)
        await scrape.wait_for_start(1)
        rendering = call(pages, page)
        await asyncio.sleep(0.2)
        assert page.started == 0
        scrape.go.release()
        assert (await scraping, await rendering) == (1, 1)
        monkeypatch.setattr("probe.server.single_flight.MAX_PRECEDENCE_SECONDS", 0.1)
        scraping = call(scrapes, scrape)
        await scrape.wait_for_start(2)
        assert await call(pages, page) == 2
        scrape.go.release()
        assert await scraping == 2

    run(scenario)


def test_a_pause_follows_each_execution() -> None:
    """Clients that request pages all the time leave CPU time to the probes."""

    async def scenario() -> None:
        flight, starts = single_flight(), list[float]()

        def work() -> int:
            starts.append(time.monotonic())
            time.sleep(0.1)
            return 0

        await call(flight, work)
        calls = [call(flight, work) for _ in range(20)]
        await asyncio.gather(*calls)
        first, second = starts
        assert 0.39 < second - first < 0.6

    run(scenario)


def test_the_pause_is_limited() -> None:
    """After an execution that took long, the next caller waits for half a second."""

    async def scenario() -> None:
        flight = single_flight()

        def work() -> int:
            time.sleep(1)
            return 0

        await call(flight, work)
        started = time.monotonic()
        await call(flight, lambda: 2)
        assert 0.45 < time.monotonic() - started < 0.8

    run(scenario)
