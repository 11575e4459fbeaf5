"""Requests of one step in one process: when they start, and what limits them."""

import itertools
import multiprocessing
import threading
from collections.abc import Iterator

import pytest

from probe.clock import NS_PER_SECOND
from probe.load.objective import LoadObjective
from probe.load.step_sender import Limits, StepSender
from probe.result import Reason, Result, RunProbe
from probe.threads import Task
from tests.builders import make_result
from tests.fakes import FakeTime, ManualExecutor

SHARED = multiprocessing.get_context("fork")

OBJECTIVE = LoadObjective(target=0.95, threshold_seconds=0.1)


class SenderOnFakeTime:
    """A step whose clock and threads the test controls. It starts at the current instant."""

    def __init__(
        self,
        due_times: Iterator[float],
        run: RunProbe,
        *,
        max_in_flight: int = 100,
        max_requests: int = 100,
    ) -> None:
        self.time = FakeTime()
        self.executor = ManualExecutor()
        self.epoch = self.time.monotonic
        self.sender = StepSender(
            due_times,
            epoch=self.epoch,
            objectives=[OBJECTIVE],
            run=run,
            limits=Limits(
                in_flight=SHARED.Semaphore(max_in_flight),
                requests=SHARED.Semaphore(max_requests),
            ),
            executor=self.executor,
            clock=self.time.clock(),
        )
        self.sender.start()

    def run_task(self) -> None:
        """Run the task that waits for the next request, and sends it."""
        self.executor.tasks.pop(0)()


def test_a_late_generator_starts_all_due_requests_at_once() -> None:
    """The latency counts from the due times, and the delays are reported."""
    due = []

    def run(instant: int) -> Result:
        due.append(instant)
        return make_result(latency=0.05)

    step = SenderOnFakeTime(itertools.count(0.0, 0.25), run)
    step.time.advance(0.75)
    for _ in range(4):
        step.run_task()
    counts = step.sender.state().report.seconds[0]

    assert [instant - step.epoch for instant in due] == [
        round(seconds * NS_PER_SECOND) for seconds in (0.0, 0.25, 0.5, 0.75)
    ]
    assert counts.lags.at_rank(4) == pytest.approx(0.75, rel=0.01)
    assert counts.latencies.at_rank(1) == pytest.approx(0.05, rel=0.01)
    assert counts.latencies.at_rank(4) == pytest.approx(0.8, rel=0.01)
    assert (counts.events, counts.bad) == ((4,), (3,))


def test_another_thread_waits_for_the_next_request_while_one_is_in_flight() -> None:
    """The next request needs no result of the one before."""
    step: SenderOnFakeTime

    def run(_: int) -> Result:
        tasks_in_flight.append(len(step.executor.tasks))
        return make_result()

    tasks_in_flight: list[int] = []
    step = SenderOnFakeTime(itertools.count(0.0, 1.0), run)
    step.run_task()

    assert tasks_in_flight == [1]


def test_requests_over_max_in_flight_are_dropped() -> None:
    """The second and the third request are due while the first one is in flight."""

    def due_times() -> Iterator[float]:
        yield from (0.0, 1.0, 2.0)
        step.sender.stop(3.0)
        yield 99.0

    def run(_: int) -> Result:
        step.time.advance(2.5)
        # Another thread would do this meanwhile.
        step.run_task()
        return make_result()

    step = SenderOnFakeTime(due_times(), run, max_in_flight=1)
    step.run_task()
    state = step.sender.state()
    offered = [(second.offered, second.dropped) for second in state.report.seconds.values()]

    assert offered == [(1, 0), (1, 1), (1, 1)]
    assert state.sends_no_more
    assert state.report.in_flight == 0


def test_no_request_after_max_requests() -> None:
    """The request that is not sent is not counted, and nothing after it is judged."""
    step = SenderOnFakeTime(itertools.count(0.0, 0.5), lambda _: make_result(), max_requests=3)
    step.time.advance(5.0)
    for _ in range(4):
        step.run_task()
    state = step.sender.state()

    assert state.is_limit_reached
    assert state.sends_no_more
    assert not step.executor.tasks
    assert sum(second.offered for second in state.report.seconds.values()) == 3
    assert state.report.complete_until == 1.5


def test_without_a_thread_a_request_fails() -> None:
    """It is a failure of this machine, and the request after it is sent."""

    def run(_: int) -> Result:
        step.sender.stop(1.0)
        return make_result()

    step = SenderOnFakeTime(iter([0.0, 0.5, 99.0]), run)
    step.time.advance(1.0)
    submit = step.executor.submit
    results = iter([RuntimeError("can't start new thread"), None])

    def fail_once(task: Task) -> None:
        if error := next(results):
            raise error
        submit(task)

    step.executor.submit = fail_once  # type: ignore[method-assign]  # one failure
    step.run_task()
    counts = step.sender.state().report.seconds[0]

    assert counts.failures == {Reason.INTERNAL: 1}
    assert (counts.offered, counts.completed, counts.events) == (2, 2, (1,))


def test_a_stopped_step_sends_no_more_requests() -> None:
    """A late process does not send what was due before the end, and nothing of it is judged."""
    step = SenderOnFakeTime(itertools.count(0.0, 0.5), lambda _: make_result())
    step.time.advance(5.0)
    step.run_task()
    step.run_task()
    step.sender.stop(5.0)
    step.run_task()
    state = step.sender.state()

    assert state.sends_no_more
    assert not step.executor.tasks
    assert sum(second.offered for second in state.report.seconds.values()) == 2
    assert state.report.complete_until == 1.0


def test_the_end_of_a_step_ends_the_wait_for_the_next_request() -> None:
    """Ctrl-C while a step ends stops it once more."""
    step = SenderOnFakeTime(itertools.count(3600.0, 1.0), lambda _: make_result())
    thread = threading.Thread(target=step.run_task, daemon=True)
    thread.start()
    step.sender.stop(1.0)
    step.sender.stop(1.0)
    thread.join(timeout=5)

    assert not thread.is_alive()
    assert step.sender.state().sends_no_more


def test_an_exception_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """An exception of a prober is a bug; results have the errors of the endpoint."""

    def fail(_: int) -> Result:
        raise ZeroDivisionError

    step = SenderOnFakeTime(itertools.count(0.0, 0.5), fail)
    step.run_task()

    assert step.sender.state().bug == "ZeroDivisionError"
    assert "ZeroDivisionError" in caplog.text
