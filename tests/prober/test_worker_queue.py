"""The queue of the worker process: limits, turns, and the message when it is full."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from probe.prober import worker_queue
from probe.prober.evaluator import Evaluator
from probe.prober.worker_queue import (
    MAX_WAITING,
    MAX_WAITING_OF_BUSY_PROBES,
    MAX_WAITING_PER_PROBE,
    QueueFull,
    WorkerQueue,
)
from probe.result import Reason
from tests.prober.test_evaluator import detail, large_task, reason


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the condition is not met after 10 s"
        time.sleep(0.005)


class _Waiting:
    """Responses that wait for their turn in threads. Their turns end with the block."""

    def __init__(self, queue: WorkerQueue) -> None:
        self.queue = queue
        self.turns: list[str] = []
        self.released = threading.Event()
        self.threads: list[threading.Thread] = []

    def add(self, *probes: str) -> None:
        """Let a response of each of these probes wait, in this order."""
        for probe in probes:
            size = len(self.queue)
            thread = threading.Thread(target=self._take_turn, args=[probe])
            thread.start()
            self.threads.append(thread)
            _wait_until(lambda size=size: len(self.queue) > size)  # type: ignore[misc]

    def _take_turn(self, probe: str) -> None:
        with self.queue.turn(probe):
            self.turns.append(probe)
            self.released.wait(10)


@contextmanager
def waiting(queue: WorkerQueue) -> Iterator[_Waiting]:
    """Add responses in the block. At its end they take their turns, and the queue is empty."""
    responses = _Waiting(queue)
    try:
        yield responses
    finally:
        responses.released.set()
        for thread in responses.threads:
            thread.join()
    assert len(queue) == 0


def test_probes_take_turns() -> None:
    """A probe with two responses waits between them for the others; one response has its turn."""
    queue = WorkerQueue()
    with waiting(queue) as responses:
        responses.add("busy-1", "busy-1", "busy-2", "busy-2", "usual")
        assert responses.turns == ["busy-1"]

    assert responses.turns[:3] == ["busy-1", "busy-2", "usual"]
    assert sorted(responses.turns[3:]) == ["busy-1", "busy-2"]


def test_a_cheap_response_is_next() -> None:
    """It waits for one evaluation, not for one of each expensive probe, also later."""
    queue = WorkerQueue()
    turns: list[str] = []

    def evaluate(probe: str, seconds: float) -> None:
        while len(turns) < 40:
            with queue.turn(probe):
                turns.append(probe)
                time.sleep(seconds)

    threads = [threading.Thread(target=evaluate, args=[f"busy-{n}", 0.02]) for n in range(8)]
    threads.append(threading.Thread(target=evaluate, args=["usual", 0.0]))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # In turn by turn it would have every ninth.
    assert turns[10:40].count("usual") > 7


def test_a_busy_probe_is_limited() -> None:
    """Other probes find a place."""
    queue = WorkerQueue()
    with waiting(queue) as responses:
        responses.add(*["busy"] * MAX_WAITING_PER_PROBE)

        with pytest.raises(QueueFull, match=r"^4 responses, 4 of them of this probe, .* for busy;"):
            responses.queue.turn("busy").__enter__()
        responses.add("usual")


def test_a_usual_probe_finds_a_place_among_busy_ones() -> None:
    """Busy probes cannot take all places."""
    queue = WorkerQueue()
    busy = [f"busy-{n // 2}" for n in range(MAX_WAITING_OF_BUSY_PROBES)]
    with waiting(queue) as responses:
        responses.add(*busy)

        responses.add("usual")
        with pytest.raises(QueueFull):
            queue.turn("usual").__enter__()
        responses.add(*[f"other-{n}" for n in range(MAX_WAITING - len(queue))])
        with pytest.raises(QueueFull, match=f"^{MAX_WAITING} responses, 0 of them of this probe"):
            queue.turn("new").__enter__()


def test_the_busiest_probes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their time in the worker process, not those that only wait."""
    queue = WorkerQueue()
    monkeypatch.setattr(worker_queue, "MAX_WAITING", 4)
    with waiting(queue) as responses:
        responses.add("holds")  # so that the queue is never empty
        for probe, spent in (("a", 100), ("b", 500), ("c", 300), ("d", 200)):
            queue._worker_seconds[probe] = spent
        responses.add("waits-1", "waits-2", "waits-3")

        with pytest.raises(QueueFull, match="which takes longest for b, c, d; simplify"):
            queue.turn("new").__enter__()
    assert not queue._worker_seconds


def test_a_full_queue_is_internal() -> None:
    """The advice is for the config, so the message blames neither the daemon nor its host."""
    evaluator = Evaluator()
    with waiting(evaluator._queue) as responses:
        responses.add(*["tested"] * MAX_WAITING_PER_PROBE)
        refused = evaluator.evaluate(large_task())

    assert reason(refused) is Reason.INTERNAL
    assert detail(refused).endswith("or probe them less often")
    assert evaluator.evaluate(large_task()).failure is None
    evaluator.close()
