"""The stopwatch with clocks that the test sets."""

import pytest

from probe.clock import NS_PER_SECOND
from probe.http.errors import MissedOwnDeadline
from probe.http.stopwatch import Stopwatch, Timestamp
from probe.result import Phase
from tests.fakes import FakeTime

MILLISECOND_NS = NS_PER_SECOND // 1000


def phases(stopwatch: Stopwatch) -> dict[Phase, float]:
    return {phase: round(seconds, 9) for phase, seconds in stopwatch.times().total().items()}


def test_phases_follow_each_other() -> None:
    """A phase ends where the next one starts; one that was never started is absent."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    for phase, seconds in ((Phase.CONNECT, 0.25), (Phase.WAIT, 0.5), (Phase.RECEIVE, 0.125)):
        stopwatch.start_phase(phase)
        time.advance(seconds)
    stopwatch.end_phase()
    assert phases(stopwatch) == {Phase.CONNECT: 0.25, Phase.WAIT: 0.5, Phase.RECEIVE: 0.125}


def test_time_between_phases_is_correction() -> None:
    """It is in no phase; wall time is latency plus correction."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    stopwatch.start_phase(Phase.CONNECT)
    time.advance(0.25)
    stopwatch.end_phase()
    time.advance(0.0625)
    stopwatch.start_phase(Phase.WAIT)
    time.advance(0.5)
    stopwatch.end_phase()
    time.advance(1)  # evaluation of the response
    times = stopwatch.times()
    assert sum(times.total().values()) == 0.75
    assert times.correction == 0.0625


def test_a_kernel_stamp_ends_a_phase() -> None:
    """The delay until the process noticed the event is in the correction."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    stopwatch.start_phase(Phase.WAIT)
    time.advance(0.2)
    arrived = time.wall
    time.advance(0.3)
    stopwatch.end_phase(stopwatch.timestamp(arrived))
    times = stopwatch.times()
    assert times.total() == {Phase.WAIT: 0.2}
    assert (times.clock, round(times.correction, 9)) == ("kernel", 0.3)


@pytest.mark.parametrize("step", [-3600.0, -0.05, 0.05, 3600.0])
def test_kernel_stamps_are_not_used_if_the_wall_clock_was_set(step: float) -> None:
    """A step of the wall clock during the run would be in a phase."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    stopwatch.start_phase(Phase.WAIT)
    time.advance(0.2)
    time.step_wall(step)
    stopwatch.end_phase(stopwatch.timestamp(time.wall))
    times = stopwatch.times()
    assert times.total() == {Phase.WAIT: 0.2}
    assert times.clock == "user"


@pytest.mark.parametrize("step", [-3600.0, -0.05, 0.0])
def test_the_order_of_events(step: float) -> None:
    """A stamp of the kernel is before another event, unless the wall clock was set back."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    sent = stopwatch.timestamp()
    time.step_wall(step)
    stamp = time.wall - MILLISECOND_NS
    time.advance(0.1)
    received = stopwatch.timestamp(stamp)

    assert stopwatch.is_before(received, sent) is (step == 0)
    assert stopwatch.is_before(sent, received) is True
    assert stopwatch.is_before(received, received) is False


def test_a_response_before_the_end_of_the_request() -> None:
    """The time until the request is sent is in `send`, and only there."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    stopwatch.start_phase(Phase.SEND)
    time.advance(0.1)
    received = time.wall
    time.advance(0.2)
    stopwatch.start_phase(Phase.WAIT)
    stopwatch.start_phase(Phase.RECEIVE, at=stopwatch.timestamp(received))
    time.advance(0.4)
    stopwatch.end_phase()

    assert phases(stopwatch) == {Phase.SEND: 0.3, Phase.WAIT: 0, Phase.RECEIVE: 0.4}


def test_kernel_stamps_are_used_if_the_wall_clock_is_slewed() -> None:
    """NTP slews by at most 500 ppm; that is no step."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 30)
    stopwatch.start_phase(Phase.WAIT)
    time.advance(10)
    time.step_wall(10 * 400e-6)
    stopwatch.end_phase(stopwatch.timestamp(time.wall))
    assert stopwatch.times().clock == "kernel"


def test_reading_both_clocks_takes_time() -> None:
    """A process that loses the CPU for 150 us between the two readings has seen no step."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    stopwatch.start_phase(Phase.WAIT)
    time.advance(0.2)
    time.step_wall(0.00015)
    stopwatch.end_phase(stopwatch.timestamp(time.wall))
    assert stopwatch.times().clock == "kernel"


def test_the_start_of_a_phase_only_moves_forward() -> None:
    """An instant before the recorded start is ignored."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    before = time.monotonic
    time.advance(0.25)
    stopwatch.start_phase(Phase.DNS)
    stopwatch.start_later(before)
    time.advance(0.5)
    stopwatch.end_phase(stopwatch.timestamp(time.wall))
    assert phases(stopwatch) == {Phase.DNS: 0.5}


def test_without_kernel_stamps_the_clock_is_user() -> None:
    """The timestamps of the process are used."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    stopwatch.start_phase(Phase.WAIT)
    time.advance(0.2)
    stopwatch.end_phase()
    assert stopwatch.times().clock == "user"


def test_a_transmit_stamp_that_comes_during_wait() -> None:
    """It moves the border between `send` and `wait`; no time is lost or counted twice."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    stopwatch.start_phase(Phase.SEND)
    time.advance(0.1)
    stopwatch.start_phase(Phase.WAIT)
    time.advance(0.05)
    sent = time.wall
    time.advance(0.2)
    stopwatch.correct_send_end(stopwatch.timestamp(sent))
    stopwatch.end_phase(stopwatch.timestamp(time.wall))
    assert phases(stopwatch) == {Phase.SEND: 0.15, Phase.WAIT: 0.2}


def test_a_transmit_stamp_of_an_instant_before_wait() -> None:
    """The process started `wait` 5 ms after the request had left: they belong to `wait`."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    stopwatch.start_phase(Phase.SEND)
    sent = time.wall
    time.advance(0.005)
    stopwatch.start_later(time.monotonic)
    stopwatch.start_phase(Phase.WAIT)
    time.advance(0.2)
    stopwatch.correct_send_end(stopwatch.timestamp(sent))
    stopwatch.end_phase(stopwatch.timestamp(time.wall))
    assert phases(stopwatch) == {Phase.SEND: 0.0, Phase.WAIT: 0.205}


def test_the_deadline_ends_every_phase() -> None:
    """A phase that times out ends at the deadline, whenever the process noticed it."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 0.5)
    stopwatch.start_phase(Phase.WAIT)
    time.advance(0.75)
    with pytest.raises(MissedOwnDeadline):
        stopwatch.deadline.require_seconds_left()
    assert phases(stopwatch) == {Phase.WAIT: 0.5}


def test_each_request_of_a_chain_has_phases() -> None:
    """The total of a chain of redirects is their sum."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    for seconds in (0.25, 0.5):
        stopwatch.start_phase(Phase.WAIT)
        time.advance(seconds)
        stopwatch.next_request()
    times = stopwatch.times()
    assert times.by_request == ({Phase.WAIT: 0.25}, {Phase.WAIT: 0.5}, {})
    assert times.total() == {Phase.WAIT: 0.75}


def test_a_kernel_stamp_is_never_later_than_now() -> None:
    """The conversion between the clocks is inexact; it never makes a phase longer."""
    time = FakeTime()
    stopwatch = Stopwatch(time.clock(), 5)
    timestamp = stopwatch.timestamp(time.wall + MILLISECOND_NS)
    assert timestamp == Timestamp(time.monotonic, time.monotonic)
