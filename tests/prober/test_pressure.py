"""The number is the endpoint's, not the interpreter's: also when the interpreter is busy."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import pytest

from probe.http import timed_socket
from probe.prober.prober import Prober
from probe.result import Phase, Result
from tests.probing import make_prober
from tests.reference_times import ReferenceServer
from tests.servers import never_respond, serve

RUNS = 30

if not timed_socket.HAS_KERNEL_TIMESTAMPS:
    pytest.skip("needs the kernel's timestamps: Linux", allow_module_level=True)


@pytest.fixture(scope="module")
def truth() -> Iterator[ReferenceServer]:
    """In a process of its own, where the pressure of this one does not reach it."""
    with ReferenceServer(delay=0.02) as truth:
        yield truth


@contextmanager
def spinning() -> Iterator[None]:
    """A thread that never lets go of the interpreter by itself."""
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            pass

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def hung_neighbours(count: int) -> Iterator[None]:
    """Probes of an endpoint that never answers, each waiting on a thread."""
    with serve(never_respond) as url:
        neighbours = [
            threading.Thread(target=make_prober(url, timeout="30s").run) for _ in range(count)
        ]
        for neighbour in neighbours:
            neighbour.start()
        time.sleep(0.5)
        yield
    for neighbour in neighbours:  # their connections are closed now
        neighbour.join()


def errors(prober: Prober, truth: ReferenceServer) -> tuple[float, float]:
    """The median error (seconds) of the reported `wait`, and of a stopwatch around the call."""
    reported: list[float] = []
    around: list[float] = []
    for _ in range(RUNS):
        began = time.monotonic()
        result = prober.run()
        took = time.monotonic() - began
        served = truth.read_seconds()
        assert isinstance(result, Result)
        assert result.failure is None
        reported.append(abs(result.phases[Phase.WAIT] - served))
        around.append(took - served)
    return median(reported), median(around)


def test_with_the_interpreter_held(truth: ReferenceServer) -> None:
    """A spinning thread moves `wait` by less than 1 ms, and a stopwatch around the call by many."""
    prober = make_prober(truth.url)
    with spinning():
        reported, around = errors(prober, truth)
    assert reported < 0.001
    assert around > 0.005


def test_with_hung_neighbours(truth: ReferenceServer) -> None:
    """Fifty probes that hang move the reported `wait` of a healthy one by less than 1 ms."""
    prober = make_prober(truth.url)
    with hung_neighbours(50):
        reported, _ = errors(prober, truth)
    assert reported < 0.001


def test_wall_time_is_latency_and_correction(truth: ReferenceServer) -> None:
    """What the interpreter added is not lost: it is the correction."""
    prober = make_prober(truth.url)
    with spinning():
        began = time.monotonic()
        result = prober.run()
        took = time.monotonic() - began
    assert result.clock == "kernel"
    assert result.correction > 0.001
    assert result.latency + result.correction <= took
