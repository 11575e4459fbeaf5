"""The batches of a model server, in virtual time."""

from collections.abc import Mapping

import pytest

from probe.demo.batch_queue import BatchQueue, BatchSettings

Times = list[tuple[str, float, float]]


def processed(settings: BatchSettings, arrivals: Mapping[str, float]) -> Times:
    """Return the requests, the start and the end (ms) of each batch. `arrivals` are in ms."""
    queue: BatchQueue[str] = BatchQueue(settings)
    ended = []
    for name, milliseconds in arrivals.items():
        ended += queue.advance(milliseconds / 1000)
        queue.add(name, milliseconds / 1000)
    while (due := queue.next_change()) is not None:
        ended += queue.advance(due)
    return [
        (
            "".join(arrival.request for arrival in batch.arrivals),
            round(batch.started * 1000, 6),
            round(batch.ended * 1000, 6),
        )
        for batch in ended
    ]


UP_TO_TWO = BatchSettings(max_batch_size=2, max_wait_seconds=0.020)


def test_max_wait() -> None:
    """A request starts after the maximum wait, with those that have arrived by then."""
    assert processed(BatchSettings(max_batch_size=8), {"a": 100, "b": 119, "c": 120.5}) == [
        ("ab", 120, 134),
        ("c", 140.5, 150.5),
    ]


def test_full_batch() -> None:
    """A batch starts when it is full, also if the maximum wait is not over."""
    assert processed(UP_TO_TWO, {"a": 0, "b": 5, "c": 6}) == [("ab", 5, 19), ("c", 26, 36)]


def test_busy() -> None:
    """One batch is processed at a time. The next one starts at its end if it is full or late."""
    arrivals = {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4}
    assert processed(UP_TO_TWO, arrivals) == [("ab", 1, 15), ("cd", 15, 29), ("e", 29, 39)]


def test_unbatched() -> None:
    """With a batch size of 1 requests do not wait for others, and each takes 10 ms."""
    settings = BatchSettings(max_batch_size=1, max_wait_seconds=0.020)
    assert processed(settings, {"a": 0, "b": 1, "c": 50}) == [
        ("a", 0, 10),
        ("b", 10, 20),
        ("c", 50, 60),
    ]


def test_no_wait() -> None:
    """Without a wait, a batch consists of what has arrived during the one before."""
    settings = BatchSettings(max_batch_size=8, max_wait_seconds=0)
    assert processed(settings, {"a": 0, "b": 1, "c": 2}) == [("a", 0, 10), ("bc", 10, 24)]


def test_late_calls() -> None:
    """The times do not depend on when `advance` is called, nor do the requests of a batch."""
    queue: BatchQueue[str] = BatchQueue(UP_TO_TWO)
    queue.add("a", 0.0)
    queue.add("b", 0.025)  # after the end of the wait of `a`
    queue.add("c", 0.026)
    batches = queue.advance(1.0)
    assert [batch.arrivals[0].request for batch in batches] == ["a", "b"]
    assert [batch.ended for batch in batches] == pytest.approx([0.030, 0.044])
    assert queue.next_change() is None


def test_next_change() -> None:
    """The next change is the start of a batch, then its end, and then there is none."""
    queue: BatchQueue[str] = BatchQueue(UP_TO_TWO)
    assert queue.next_change() is None
    queue.add("a", 1.0)
    assert queue.next_change() == pytest.approx(1.020)
    assert queue.advance(1.019) == []
    assert queue.advance(1.021) == []
    assert queue.next_change() == pytest.approx(1.030)
    (batch,) = queue.advance(1.030)
    assert batch.compute_seconds == pytest.approx(0.010)
    assert queue.next_change() is None
