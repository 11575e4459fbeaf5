"""The event loop of the toy models."""

import asyncio
import sys

import pytest

from probe.demo.event_loop import new_event_loop


@pytest.mark.skipif(sys.platform != "linux", reason="only epoll rounds its timeouts up")
@pytest.mark.timing
def test_timers() -> None:
    """A timer of 2.1 ms is not rounded up to 3 ms."""

    async def measure() -> float:
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.sleep(0.0021)
        return loop.time() - start

    async def shortest() -> float:
        return min([await measure() for _ in range(20)])

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert 0.0021 <= runner.run(shortest()) < 0.0027
