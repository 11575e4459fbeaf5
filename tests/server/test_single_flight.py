"""Work that many ask for at once."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from probe.server.single_flight import SingleFlight


class Work:
    """Numbers its pieces; each takes until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = threading.Semaphore(0)

    def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        assert self.go.acquire(timeout=10)
        return number

    async def has_begun(self, pieces: int) -> None:
        end = time.monotonic() + 10
        while self.begun < pieces:
            assert time.monotonic() < end
            await asyncio.sleep(0.01)


def shared(fresh: float = 0.0, threads: int = 1) -> SingleFlight[int]:
    return SingleFlight(threads, max_age_seconds=fresh, now=time.monotonic)


def ask(of: SingleFlight[int], work: Callable[[], int], key: str = "a") -> asyncio.Task[int]:
    return asyncio.create_task(of.run(key, work))


def run(story: Callable[[], Awaitable[Any]]) -> None:
    async def told() -> None:
        await asyncio.wait_for(story(), 30)

    asyncio.run(told())


def test_a_crowd_costs_what_two_cost() -> None:
    """Who comes while a piece of work is under way gets the next one, together with all others."""

    async def story() -> None:
        work, of = Work(), shared()
        first = ask(of, work)
        await work.has_begun(1)
        crowd = [ask(of, work) for _ in range(50)]
        await asyncio.sleep(0.1)
        work.go.release(2)
        assert await first == 1
        assert set(await asyncio.gather(*crowd)) == {2}
        assert work.begun == 2

    run(story)


def test_nothing_is_older_than_the_question() -> None:
    """Where nothing is kept, to ask again is to get something new."""

    async def story() -> None:
        work, of = Work(), shared()
        work.go.release(3)
        assert [await ask(of, work) for _ in range(3)] == [1, 2, 3]

    run(story)


def test_what_is_fresh_is_given_again() -> None:
    """So many seconds after it was begun, and no longer."""

    async def story() -> None:
        work, of = Work(), shared(fresh=0.5)
        work.go.release(2)
        began = time.monotonic()
        numbers = [await ask(of, work) for _ in range(5)]
        assert numbers == [1] * 5 or time.monotonic() > began + 0.5
        await asyncio.sleep(0.6)
        assert await ask(of, work) == 2

    run(story)


def test_others_wait_for_a_thread() -> None:
    """Different work shares only the threads, in the order in which it was asked for."""

    async def story() -> None:
        one, other, of = Work(), Work(), shared()
        first = ask(of, one, "one")
        await one.has_begun(1)
        second = ask(of, other, "other")
        await asyncio.sleep(0.1)
        assert other.begun == 0
        one.go.release()
        other.go.release()
        assert (await first, await second) == (1, 1)

    run(story)


def test_who_leaves_takes_nothing_along() -> None:
    """When the one who asked first has gone, those that came later still get theirs."""

    async def story() -> None:
        work, of = Work(), shared()
        busy = ask(of, work, "busy")
        await work.has_begun(1)
        first, later = ask(of, work), ask(of, work)
        await asyncio.sleep(0.1)
        first.cancel()
        work.go.release(2)
        assert (await busy, await later) == (1, 2)
        assert first.cancelled()

    run(story)


def test_all_are_told_of_an_error() -> None:
    """What cannot be made is an error to all who wait for it, and is not kept."""

    async def story() -> None:
        work, of = Work(), shared(fresh=60)

        def fail() -> int:
            raise OSError(work())

        failing = [ask(of, fail) for _ in range(5)]
        await work.has_begun(1)
        work.go.release(2)
        for one in failing:
            with pytest.raises(OSError, match="1"):
                await one
        assert await ask(of, work) == 2

    run(story)


@pytest.mark.parametrize("fresh", [0.0, 0.2])
def test_nothing_is_remembered_for_nobody(fresh: float) -> None:
    """However many things were asked for, what is not fresh any more takes no memory."""

    async def story() -> None:
        of = shared(fresh)
        for number in range(100):
            await of.run(number, lambda: 0)
        await asyncio.sleep(fresh + 0.1)
        assert len(of) == 0

    run(story)
