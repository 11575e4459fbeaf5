"""The stopwatch by itself, on clocks that the test moves."""

import pytest

from probe.clock import SECOND
from probe.http.errors import MissedOwnDeadline
from probe.http.timing import Stopwatch, Timestamp
from probe.result import Phase
from tests.fakes import FakeTime

MS = SECOND // 1000


def phases(watch: Stopwatch) -> dict[Phase, float]:
    return {phase: round(seconds, 9) for phase, seconds in watch.times().total().items()}


def test_phases_follow_each_other() -> None:
    """A phase ends where the next begins; one that never began is absent."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 5)
    for phase, seconds in ((Phase.CONNECT, 0.25), (Phase.WAIT, 0.5), (Phase.RECEIVE, 0.125)):
        watch.start_phase(phase)
        time.advance(seconds)
    watch.end_phase()
    assert phases(watch) == {Phase.CONNECT: 0.25, Phase.WAIT: 0.5, Phase.RECEIVE: 0.125}


def test_between_phases_is_correction() -> None:
    """What happens between two phases is in none of them; wall time is latency and correction."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 5)
    watch.start_phase(Phase.CONNECT)
    time.advance(0.25)
    watch.end_phase()
    time.advance(0.0625)
    watch.start_phase(Phase.WAIT)
    time.advance(0.5)
    watch.end_phase()
    time.advance(1)  # judging the answer
    times = watch.times()
    assert sum(times.total().values()) == 0.75
    assert times.correction == 0.0625


def test_the_kernel_knows_better() -> None:
    """A stamp of the kernel counts, however late this process got round to look."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 5)
    watch.start_phase(Phase.WAIT)
    time.advance(0.2)
    arrived = time.wall
    time.advance(0.3)
    watch.end_phase(watch.timestamp(arrived))
    times = watch.times()
    assert times.total() == {Phase.WAIT: 0.2}
    assert (times.clock, round(times.correction, 9)) == ("kernel", 0.3)


@pytest.mark.parametrize("step", [-3600.0, -0.05, 0.05, 3600.0])
def test_a_wall_clock_that_is_set_is_noticed(step: float) -> None:
    """When the wall clock was set during the run its stamps are not believed."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 5)
    watch.start_phase(Phase.WAIT)
    time.advance(0.2)
    time.step_wall(step)
    watch.end_phase(watch.timestamp(time.wall))
    times = watch.times()
    assert times.total() == {Phase.WAIT: 0.2}
    assert times.clock == "user"


def test_a_wall_clock_that_is_slewed_is_believed() -> None:
    """NTP slews by at most 500 ppm; that is no step."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 30)
    watch.start_phase(Phase.WAIT)
    time.advance(10)
    time.step_wall(10 * 400e-6)
    watch.end_phase(watch.timestamp(time.wall))
    assert watch.times().clock == "kernel"


def test_clocks_are_not_read_at_once() -> None:
    """A process that is held up between the two clocks for 150 us has not seen one set."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 5)
    watch.start_phase(Phase.WAIT)
    time.advance(0.2)
    time.step_wall(0.00015)
    watch.end_phase(watch.timestamp(time.wall))
    assert watch.times().clock == "kernel"


def test_a_phase_never_begins_earlier_than_it_was_begun() -> None:
    """What was under way before, as a lookup that another probe has asked for, was not its time."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 5)
    before = time.monotonic
    time.advance(0.25)
    watch.start_phase(Phase.DNS)
    watch.start_later(before)
    time.advance(0.5)
    watch.end_phase(watch.timestamp(time.wall))
    assert phases(watch) == {Phase.DNS: 0.5}


def test_without_stamps_the_process_keeps_the_time() -> None:
    """Where the kernel says nothing the clock is `user`."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 5)
    watch.start_phase(Phase.WAIT)
    time.advance(0.2)
    watch.end_phase()
    assert watch.times().clock == "user"


def test_a_stamp_of_the_sending_that_comes_late() -> None:
    """It moves the border between `send` and `wait`, and nothing is lost or counted twice."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 5)
    watch.start_phase(Phase.SEND)
    time.advance(0.1)
    watch.start_phase(Phase.WAIT)
    time.advance(0.05)
    departed = time.wall
    time.advance(0.2)
    watch.correct_send_end(watch.timestamp(departed))
    watch.end_phase(watch.timestamp(time.wall))
    assert phases(watch) == {Phase.SEND: 0.15, Phase.WAIT: 0.2}


def test_a_stamp_of_the_sending_that_was_seen_late() -> None:
    """The process got round to it 5 ms after the request had left: they belong to the wait."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 5)
    watch.start_phase(Phase.SEND)
    departed = time.wall
    time.advance(0.005)
    watch.start_later(time.monotonic)
    watch.start_phase(Phase.WAIT)
    time.advance(0.2)
    watch.correct_send_end(watch.timestamp(departed))
    watch.end_phase(watch.timestamp(time.wall))
    assert phases(watch) == {Phase.SEND: 0.0, Phase.WAIT: 0.205}


def test_the_deadline_ends_every_phase() -> None:
    """A phase that the deadline struck ends with it, however late that was noticed."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 0.5)
    watch.start_phase(Phase.WAIT)
    time.advance(0.75)
    with pytest.raises(MissedOwnDeadline):
        watch.require_seconds_left()
    assert phases(watch) == {Phase.WAIT: 0.5}


def test_laps_add_up() -> None:
    """Each hop of a chain of redirects has phases of its own; the whole has their sum."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 5)
    for seconds in (0.25, 0.5):
        watch.start_phase(Phase.WAIT)
        time.advance(seconds)
        watch.next_request()
    times = watch.times()
    assert times.by_request == ({Phase.WAIT: 0.25}, {Phase.WAIT: 0.5}, {})
    assert times.total() == {Phase.WAIT: 0.75}


def test_a_stamp_of_the_future_is_now() -> None:
    """Nothing arrives after it was seen: rounding between the clocks never makes a phase longer."""
    time = FakeTime()
    watch = Stopwatch(time.clock(), 5)
    assert watch.timestamp(time.wall + MS) == Timestamp(time.monotonic, time.monotonic)
