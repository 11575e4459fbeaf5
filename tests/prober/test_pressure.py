"""The measured times are the endpoint's, also when the interpreter is busy."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import pytest

from probe.http import timed_socket
from probe.prober.prober import Prober
from probe.result import Phase, Result
from tests.prober.test_streams import OPENAI
from tests.probing import make_prober
from tests.reference_times import ReferenceServer
from tests.servers import never_respond, serve
from tests.token_server import token_server

pytestmark = pytest.mark.timing

RUNS = 30

if not timed_socket.HAS_KERNEL_TIMESTAMPS:
    pytest.skip("needs the kernel's timestamps: Linux", allow_module_level=True)


@pytest.fixture(scope="module")
def truth() -> Iterator[ReferenceServer]:
    """Run a reference server in another process, which the load of this one does not affect."""
    with ReferenceServer(delay=0.02) as truth:
        yield truth


@contextmanager
def interpreter_held() -> Iterator[None]:
    """Run a thread that never releases the interpreter lock voluntarily."""
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
def hanging_probes(count: int) -> Iterator[None]:
    """Run `count` probes of an endpoint that never responds."""
    with serve(never_respond) as url:
        probes = [
            threading.Thread(target=make_prober(url, timeout="30s").run) for _ in range(count)
        ]
        for probe in probes:
            probe.start()
        time.sleep(0.5)
        yield
    for probe in probes:  # which end because their connections are closed
        probe.join()


def measure_errors(prober: Prober, truth: ReferenceServer) -> tuple[float, float]:
    """Return median errors (seconds): of the reported `wait`, and of a stopwatch around the run."""
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
    """The error of `wait` is below 1 ms, that of a stopwatch around the run is much larger."""
    prober = make_prober(truth.url)
    with interpreter_held():
        reported, around = measure_errors(prober, truth)
    assert reported < 0.001
    assert around > 0.005


def test_with_hanging_probes(truth: ReferenceServer) -> None:
    """Fifty hanging probes move the `wait` of a healthy one by less than 1 ms."""
    prober = make_prober(truth.url)
    with hanging_probes(50):
        reported, _ = measure_errors(prober, truth)
    assert reported < 0.001


def test_tokens_with_the_interpreter_held() -> None:
    """The times of tokens are exact, although they come faster than a thread gets the lock."""
    first_token_errors, ratios = [], []
    with token_server() as server:
        prober = make_prober(server.url, stream=OPENAI)
        with interpreter_held():
            for _ in range(RUNS // 3):
                stream = prober.run().stream
                first_token, time_per_token = server.read_times()
                assert stream
                assert stream.time_to_first_token
                assert stream.time_per_output_token
                first_token_errors.append(abs(stream.time_to_first_token - first_token))
                ratios.append(stream.time_per_output_token / time_per_token)
    assert median(first_token_errors) < 0.001
    assert median(ratios) == pytest.approx(1, abs=0.02)


def test_wall_time_is_latency_and_correction(truth: ReferenceServer) -> None:
    """The delay that the interpreter adds is reported as the correction."""
    prober = make_prober(truth.url)
    with interpreter_held():
        began = time.monotonic()
        result = prober.run()
        took = time.monotonic() - began
    assert result.clock == "kernel"
    assert result.correction > 0.001
    assert result.latency + result.correction <= took
