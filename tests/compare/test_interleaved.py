"""The schedule of the requests of two sides."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from probe.clock import Clock, nanoseconds
from probe.compare.interleaved import (
    WARM_UP_REQUESTS,
    InterleavedRun,
    MeasurementProgress,
    default_interval,
    warm_up,
)
from probe.result import Result, RunProbe
from probe.threads import Task, ThreadCache
from tests.builders import make_result

INTERVAL_SECONDS = 0.01


class Recorder:
    """Runners of probes `a` and `b`, and what they were called with."""

    def __init__(self, on_send: Callable[[int], None] = lambda _number: None) -> None:
        self.due: list[tuple[str, int]] = []
        self.results: list[Result] = []
        self.progress: list[MeasurementProgress] = []
        self.stopped = threading.Event()
        self._on_send = on_send

    def runner(self, name: str) -> RunProbe:
        def run(due: int) -> Result:
            assert Clock().monotonic() >= due
            self.due.append((name, due))
            self._on_send(len(self.due))
            return make_result(probe=name)

        return run

    def run(self, rounds: int, executor: ThreadCache | None = None) -> None:
        InterleavedRun(
            [self.runner("a"), self.runner("b")],
            rounds=rounds,
            interval_seconds=INTERVAL_SECONDS,
            record=self.results.append,
            on_progress=self.progress.append,
            stopped=self.stopped,
            executor=executor or ThreadCache("test"),
            clock=Clock(),
            rng=random.Random(1),
        ).run()


def test_grid() -> None:
    """Each round has one request of each side in random order, and all have equal distances."""
    recorder = Recorder()
    recorder.run(30)
    due = sorted(recorder.due, key=lambda item: item[1])
    times = [instant for _, instant in due]
    assert {later - instant for instant, later in pairwise(times)} == {
        nanoseconds(INTERVAL_SECONDS)
    }
    rounds = Counter(a + b for (a, _), (b, _) in zip(due[::2], due[1::2], strict=True))
    assert set(rounds) == {"ab", "ba"}
    assert min(rounds.values()) >= 8
    assert Counter(result.probe for result in recorder.results) == {"a": 30, "b": 30}
    assert recorder.progress[-1] == MeasurementProgress(sent=60, planned=60, in_flight=0)


def test_slow_requests_delay_no_others() -> None:
    """Requests that hang are in flight at the same time, and all of them are recorded."""
    recorder = Recorder(lambda _number: time.sleep(0.3))
    started = time.monotonic()
    recorder.run(5)
    assert 0.3 < time.monotonic() - started < 1.5
    assert len(recorder.results) == 10
    assert max(progress.in_flight for progress in recorder.progress) >= 5


def test_stop() -> None:
    """No request is sent after `stopped`; those in flight are recorded."""
    recorder = Recorder(lambda number: recorder.stopped.set() if number == 7 else None)
    recorder.run(1000)
    assert 7 <= len(recorder.results) == len(recorder.due) <= 9


def test_bug_is_raised() -> None:
    def fail(_number: int) -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        Recorder(fail).run(3)


def test_no_thread_left() -> None:
    """The requests are sent one after the other if the system has no thread."""

    class NoThreads(ThreadCache):
        def submit(self, _task: Task) -> None:
            raise RuntimeError("can't start new thread")

    recorder = Recorder()
    recorder.run(3, NoThreads("none"))
    assert len(recorder.results) == 6


def test_default_interval() -> None:
    """It is the median latency of the slower side in the warm-up, and at least 100 ms."""
    for slow, interval in ((0.02, 0.1), (0.7, 0.7)):
        groups = [
            [make_result(latency=latency) for latency in latencies]
            for latencies in ([0.01, 0.01, 0.01], [slow, slow, 9.0], [])
        ]
        assert default_interval(groups) == interval
    assert default_interval([]) == 0.1


@pytest.mark.parametrize("names", ["ab", "a"])
def test_warm_up(names: str) -> None:
    """There are three requests of each side, also if one probe has both sides."""
    recorder = Recorder()
    results = warm_up([recorder.runner(name) for name in names], recorder.stopped, Clock())
    sent = [result.probe for result in results]
    assert sent == list(names) * (2 * WARM_UP_REQUESTS // len(names))


def test_stop_of_warm_up() -> None:
    recorder = Recorder(lambda number: recorder.stopped.set() if number == 3 else None)
    runners = [recorder.runner("a"), recorder.runner("b")]
    assert len(warm_up(runners, recorder.stopped, Clock())) == 3
