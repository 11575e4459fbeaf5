"""The load generator with real processes, clocks and sockets."""

import ctypes
import math
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from probe.clock import Clock
from probe.load.arrivals import Arrivals
from probe.load.generator import ProcessGenerator, Share, default_processes
from probe.load.measurement import Counts, StepMeasurement, total
from probe.load.objective import LoadObjective
from probe.load.stop import LoadTestEnded, StopReason
from probe.load.worker_process import LoadGeneratorError
from probe.result import Reason, Result, RunProbe, TokenCounts
from tests.builders import make_result
from tests.probing import make_prober
from tests.servers import never_respond, respond_with, serve

# <linux/prctl.h>
PR_GET_TIMERSLACK = 30

OBJECTIVE = LoadObjective(target=0.95, threshold_seconds=0.2)

pytestmark = [
    pytest.mark.timing,
    # Python 3.12 and later. The tests and their server have threads, the program has none yet.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def make_generator(
    run: RunProbe | None = None,
    *,
    build_runner: Callable[[], RunProbe] | None = None,
    processes: int = 2,
    max_in_flight: int = 1000,
    max_requests: int | None = None,
    max_tokens: int | None = None,
    arrivals: Arrivals = Arrivals.UNIFORM,
    share: Share | None = None,
    timeout_seconds: float = 5.0,
) -> ProcessGenerator:
    """Return a generator that sends requests with `run`, by default a success each."""
    runner = run or _succeed
    return ProcessGenerator(
        build_runner or (lambda: runner),
        [OBJECTIVE],
        processes=processes,
        arrivals=arrivals,
        timeout_seconds=timeout_seconds,
        max_in_flight=max_in_flight,
        clock=Clock(),
        seed=1,
        max_requests=max_requests,
        max_tokens=max_tokens,
        share=share or Share(),
    )


def _succeed(_: int) -> Result:
    return make_result(latency=0.01, usage=TokenCounts(input=3, output=2))


def _hang(_: int) -> Result:
    time.sleep(60)
    raise AssertionError


def _counts(measurement: StepMeasurement) -> Counts:
    return total(measurement.seconds)


def _prober(url: str) -> Callable[[], RunProbe]:
    """Return a function that builds a prober of `url`, as `load` does in each process."""
    return lambda: make_prober(url, timeout="3s").run


@pytest.mark.parametrize("processes", [1, 3])
def test_processes_divide_the_rate(processes: int) -> None:
    """Each step has the requests of the rate, whatever the number of processes."""
    with make_generator(processes=processes) as generator:
        for rate in (40, 80):
            generator.start(rate)
            assert generator.measure(0.5).complete_until > 0.2

            measurement = generator.stop()
            counts = _counts(measurement)
            assert measurement.in_flight == 0
            assert (
                counts.completed == counts.offered == math.ceil(measurement.complete_until * rate)
            )
            assert counts.events == (counts.offered,)
            assert counts.latencies.count == counts.lags.count == counts.offered


def test_poisson_arrivals_have_the_rate() -> None:
    """The processes have different random numbers, as have the steps."""
    rates = []
    with make_generator(arrivals=Arrivals.POISSON) as generator:
        for _ in range(2):
            generator.start(800)
            generator.measure(0.5)
            measurement = generator.stop()
            rates.append(_counts(measurement).offered / measurement.complete_until)

    # More than four standard deviations.
    assert rates == pytest.approx([800, 800], abs=200)
    assert rates[0] != rates[1]


def test_generators_share_a_rate() -> None:
    """Two generators, of one and of two processes, send half of the requests each."""
    for index, processes in enumerate((1, 2)):
        share = Share(index=index, count=2)
        with make_generator(processes=processes, share=share) as generator:
            generator.start(80)
            generator.measure(0.5)
            measurement = generator.stop()
            expected = measurement.complete_until * 40
            assert _counts(measurement).offered == pytest.approx(expected, abs=1)


def test_a_hanging_endpoint_does_not_delay_later_requests() -> None:
    """The loop is open: all requests are sent at their times, and are bad before their timeout."""
    with serve(never_respond) as url, make_generator(build_runner=_prober(url)) as generator:
        generator.start(40)
        measurement = generator.measure(1.2)
        counts = measurement.seconds[0]

        assert measurement.in_flight >= 40
        assert measurement.complete_until > 1.0
        assert (counts.offered, counts.completed) == (40, 0)
        assert (counts.events, counts.bad) == ((40,), (40,))

        counts = generator.stop().seconds[0]
        assert counts.failures == {Reason.FIRST_BYTE_TIMEOUT: 40}
        assert (counts.events, counts.bad) == ((40,), (40,))
        assert counts.lags.at_rank(40) < 0.5


def test_littles_law_holds_for_an_endpoint_with_a_known_time() -> None:
    """On average, rate x latency requests are in flight: 8 for 40 per second and 200 ms."""
    with (
        serve(respond_with(delay=0.2)) as url,
        make_generator(build_runner=_prober(url)) as generator,
    ):
        generator.start(40)
        generator.measure(2.1)
        counts = total(generator.stop().seconds[:2])

    mean_latency = counts.latency_seconds / counts.completed
    assert mean_latency > 0.2
    # Some of these requests end after these two seconds.
    assert counts.in_flight_seconds / 2 == pytest.approx(40 * mean_latency, rel=0.2)


def test_max_in_flight_is_the_limit_of_all_processes() -> None:
    """Requests over it are not sent, and are bad."""
    with make_generator(_hang, max_in_flight=5, timeout_seconds=0.0) as generator:
        generator.start(40)
        measurement = generator.measure(1.0)
        counts = measurement.seconds[0]

    assert measurement.in_flight == 5
    assert (counts.offered, counts.dropped) == (40, 35)
    assert counts.bad == (40,)


@pytest.mark.parametrize("processes", [1, 3])
def test_max_requests_is_never_exceeded(tmp_path: Path, processes: int) -> None:
    """The limit is that of all steps and processes, and it is used up."""
    log = tmp_path / "requests"

    def run(due: int) -> Result:
        with log.open("a") as file:
            file.write("x")
        return _succeed(due)

    with make_generator(run, processes=processes, max_requests=30) as generator:
        generator.start(60)
        generator.measure(0.25)
        offered = _counts(generator.stop()).offered
        generator.start(60)
        with pytest.raises(LoadTestEnded) as end:
            generator.measure(10.0)
        offered += _counts(generator.stop()).offered

    assert end.value.reason is StopReason.MAX_REQUESTS
    assert len(log.read_text()) == offered == 30


def test_max_tokens_ends_the_test() -> None:
    """The tokens of all steps count."""
    with make_generator(max_tokens=200) as generator:
        generator.start(80)
        generator.measure(0.25)
        tokens = _counts(generator.stop()).tokens
        generator.start(80)
        with pytest.raises(LoadTestEnded) as end:
            generator.measure(10.0)
        tokens += _counts(generator.stop()).tokens

    assert end.value.reason is StopReason.MAX_TOKENS
    # At most the tokens of half a second more.
    assert 200 <= tokens <= 200 + 5 * 40


def test_requests_in_flight_are_waited_for_until_their_timeout() -> None:
    """A request that never ends delays the end of the step for its timeout only."""
    with make_generator(_hang, timeout_seconds=0.5) as generator:
        generator.start(20)
        generator.measure(0.5)
        started = time.monotonic()
        measurement = generator.stop()

        assert 1.0 < time.monotonic() - started < 3.0
        assert measurement.in_flight > 5


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl(2)")
def test_timers_have_no_slack(tmp_path: Path) -> None:
    """By default, Linux would delay the start of each request by up to 50 µs."""
    log = tmp_path / "slack"

    def run(due: int) -> Result:
        log.write_text(str(ctypes.CDLL(None).prctl(PR_GET_TIMERSLACK)))
        return _succeed(due)

    with make_generator(run, processes=1) as generator:
        generator.start(40)
        generator.measure(0.2)
        generator.stop()

    assert log.read_text() == "1"


def _children() -> list[int]:
    """Return the process ids of the children of this process, also of those that have ended."""
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in path.read_text().split()]


def test_the_end_of_a_process_is_an_error() -> None:
    """The test cannot go on without its part of the rate. No process is left."""
    before = _children()
    with make_generator() as generator:
        generator.start(40)
        generator.measure(0.2)
        [_, victim] = [pid for pid in _children() if pid not in before]
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(LoadGeneratorError, match=r"process 2 .*SIGKILL.*memory"):
            generator.measure(10.0)

    assert _children() == before


def test_a_process_that_has_ended_before_a_step_is_an_error() -> None:
    """The next command finds that it has ended."""
    before = _children()
    with make_generator(processes=1) as generator:
        [victim] = [pid for pid in _children() if pid not in before]
        os.kill(victim, signal.SIGTERM)
        time.sleep(0.2)
        with pytest.raises(LoadGeneratorError, match="SIGTERM"):
            generator.start(40)


def test_an_exception_in_a_process_is_an_error() -> None:
    """A bug of the prober ends the test instead of falsifying it."""

    def fail(_: int) -> Result:
        raise ZeroDivisionError

    with make_generator(fail) as generator:
        generator.start(40)
        with pytest.raises(LoadGeneratorError, match="ZeroDivisionError"):
            generator.measure(10.0)


def test_a_prober_that_cannot_be_built_is_an_error() -> None:
    """The error has the reason."""
    before = _children()

    def build() -> RunProbe:
        raise FileNotFoundError("no file body.json")

    with (
        pytest.raises(LoadGeneratorError, match=r"cannot send requests: .*no file body\.json"),
        make_generator(build_runner=build),
    ):
        pass

    assert _children() == before


def test_processes_end_with_their_parent() -> None:
    """Not even SIGKILL leaves a process that sends requests."""
    script = textwrap.dedent(
        """
        import os, pathlib, time
        from tests.load.test_generator import _children, make_generator
        with make_generator(processes=3) as generator:
            generator.start(10)
            generator.measure(0.1)
            print(*_children(), flush=True)
            time.sleep(60)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    deadline = time.monotonic() + 5
    while (alive := [pid for pid in workers if _is_running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert len(workers) == 3
    assert not alive


def _is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_ctrl_c_does_not_end_the_processes() -> None:
    """A terminal sends SIGINT to all processes; the parent waits for the requests in flight."""

    def run(_: int) -> Result:
        time.sleep(0.3)
        return make_result(latency=0.3)

    before = _children()
    # A shell starts a background process, perhaps these tests, with the signal ignored.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    with make_generator(run) as generator:
        generator.start(40)
        for pid in _children():
            if pid not in before:
                os.kill(pid, signal.SIGINT)
        previous = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.4)
            with pytest.raises(KeyboardInterrupt):
                generator.measure(10.0)
        finally:
            signal.signal(signal.SIGALRM, previous)
            signal.signal(signal.SIGINT, handler)
        counts = _counts(generator.stop())

    assert counts.completed == counts.offered > 10


def test_default_processes() -> None:
    """A low rate needs one process, and a high one as many as the CPUs can run."""
    assert default_processes(0.5) == 1
    assert default_processes(300) == 3
    assert default_processes(1e9) == 4 * len(os.sched_getaffinity(0))


def test_processes_may_open_as_many_files_as_the_system_permits() -> None:
    """The usual soft limit of 1024 would make requests fail with an internal error."""

    def run(_: int) -> Result:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return make_result(reason=None if soft == hard else Reason.INTERNAL)

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard - 1), hard))
    try:
        with make_generator(run) as generator:
            generator.start(40)
            generator.measure(0.2)
            assert not _counts(generator.stop()).failed
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
