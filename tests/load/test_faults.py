"""Searches in real time against endpoints and load generators that misbehave."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from probe.clock import Clock
from probe.load.arrivals import Arrivals
from probe.load.generator import ProcessGenerator
from probe.load.objective import LoadObjective
from probe.load.search import Search, SearchOptions, SearchResult
from probe.load.step import Step, StepPlan, StepPlanner, run_step
from probe.load.stop import StopReason
from probe.load.verdict import Verdict
from probe.result import Reason
from tests.probing import make_prober
from tests.servers import OK, Handler, serve

OBJECTIVE = LoadObjective(target=0.95, threshold_seconds=0.2)
TOO_MANY_REQUESTS = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n"

pytestmark = [
    pytest.mark.full,
    pytest.mark.timing,
    # Python 3.12 and later. The tests and their server have threads, the program has none yet.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


class ShortPlanner(StepPlanner):
    """Plans steps of two seconds, and confirmations of three, without a warm-up."""

    def plan_search(self, rate: float) -> StepPlan:
        return StepPlan(rate=rate, warm_up_seconds=0, min_seconds=2, max_seconds=2)

    def plan_confirmation(self, rate: float, seconds_left: float) -> StepPlan:
        assert seconds_left >= 0
        return StepPlan(
            rate=rate, warm_up_seconds=0, min_seconds=3, max_seconds=3, is_confirmation=True
        )


@contextmanager
def generator_for(url: str, *, processes: int = 1) -> Iterator[ProcessGenerator]:
    with ProcessGenerator(
        lambda: make_prober(url, timeout="1s").run,
        [OBJECTIVE],
        processes=processes,
        arrivals=Arrivals.UNIFORM,
        timeout_seconds=1.0,
        max_in_flight=200,
        clock=Clock(),
        seed=1,
    ) as generator:
        yield generator


def search(generator: ProcessGenerator, *, rates: tuple[float, ...]) -> SearchResult:
    """Measure `rates`, and confirm one of them."""

    def step(plan: StepPlan) -> Step:
        return run_step(generator, plan, [OBJECTIVE], lambda *_: None)

    return Search(
        SearchOptions(first_rate=rates[0], max_rate=1000, max_seconds=14, rates=rates),
        ShortPlanner(objectives=[OBJECTIVE], latency_seconds=0.01),
        run_step=step,
        now=time.monotonic,
    ).run()


def handler(respond: "Endpoint") -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        response = await respond.response()
        writer.write(response)
        await writer.drain()

    return handle


class Endpoint:
    """Responds to `limit` requests in total; then it resets connections, or responds later."""

    def __init__(self, *, limit: int, delay: float | None = None) -> None:
        self._limit, self._delay = limit, delay
        self._requests = 0

    async def response(self) -> bytes:
        self._requests += 1
        if self._requests <= self._limit:
            return OK
        if self._delay is None:
            raise OSError
        await asyncio.sleep(self._delay)
        return OK


class RateLimited(Endpoint):
    """Responds with 429 to requests beyond `rate` in a second."""

    def __init__(self, rate: int) -> None:
        super().__init__(limit=0)
        self._rate = rate
        self._second, self._count = 0, 0

    async def response(self) -> bytes:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return OK if self._count <= self._rate else TOO_MANY_REQUESTS


def test_endpoint_that_dies_in_a_step() -> None:
    """The step is missed, and a lower rate that was served before shows that it is down."""
    endpoint = Endpoint(limit=160)
    with serve(handler(endpoint)) as url, generator_for(url) as generator:
        result = search(generator, rates=(40, 60))
    assert (result.confirmed, result.reason) == (None, StopReason.ENDPOINT_DOWN)
    assert [step.verdict for step in result.steps] == [Verdict.MET, Verdict.MISSED, Verdict.MISSED]
    assert result.steps[-1].rate == 40
    counts = result.steps[-1].evaluation.counts
    assert counts.failed == counts.completed > 20


def test_endpoint_that_limits_the_rate() -> None:
    """Responses with the status 429 are bad. A rate below the limit is confirmed.

    The second in which the confirmation begins may still have too many requests.
    """
    with serve(handler(RateLimited(60))) as url, generator_for(url) as generator:
        result = search(generator, rates=(40, 120))
    assert result.confirmed
    assert 36 <= result.confirmed.rate <= 40
    failures = [step.evaluation.counts.failures for step in result.steps if step.rate == 120]
    assert failures[-1].keys() == {Reason.RATE_LIMITED}


def test_endpoint_that_degrades() -> None:
    """An endpoint that becomes slow during the confirmation has no safe rate."""
    endpoint = Endpoint(limit=160, delay=0.3)
    with serve(handler(endpoint)) as url, generator_for(url) as generator:
        result = search(generator, rates=(40,))
    assert result.confirmed is None
    assert result.steps[0].verdict is Verdict.MET
    assert all(step.verdict is Verdict.MISSED for step in result.steps[1:])


def test_generator_without_cpu_time() -> None:
    """Steps are void if the processes of the generator do not run, and no rate is confirmed."""
    endpoint, before = Endpoint(limit=10**9), generator_processes()
    with serve(handler(endpoint)) as url, generator_for(url) as generator:
        (process,) = generator_processes() - before
        stopped = threading.Event()
        thread = threading.Thread(target=interrupt, args=(process, stopped))
        thread.start()
        try:
            result = search(generator, rates=(40,))
        finally:
            stopped.set()
            thread.join()
    assert result.confirmed is None
    assert {step.verdict for step in result.steps} == {Verdict.VOID}
    assert result.reason is StopReason.SATURATED


def generator_processes() -> set[int]:
    return {process.pid for process in multiprocessing.active_children() if process.pid}


def interrupt(process: int, stopped: threading.Event) -> None:
    """Stop a process for half of each 0.2 s."""
    while not stopped.wait(0.1):
        os.kill(process, signal.SIGSTOP)
        time.sleep(0.1)
        os.kill(process, signal.SIGCONT)
