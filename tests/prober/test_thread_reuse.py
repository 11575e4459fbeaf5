"""Threads that are kept for the next task, and retire."""

import threading
import time

import pytest

from probe import threads
from probe.threads import ThreadCache


def test_a_thread_is_used_again() -> None:
    """One task after the other needs one thread."""
    crew, names = ThreadCache("tested"), set()
    for _ in range(5):
        done = threading.Event()

        def task(done: threading.Event = done) -> None:
            names.add(threading.get_ident())
            done.set()

        crew.submit(task)
        assert done.wait(5)
        time.sleep(0.02)

    assert len(names) == 1


def test_no_task_waits_for_another() -> None:
    """Those that hang have threads of their own, which do not keep the process alive."""
    crew, over, started = ThreadCache("tested"), threading.Event(), threading.Semaphore(0)

    def hang() -> None:
        started.release()
        over.wait(30)

    for _ in range(20):
        crew.submit(hang)

    assert all(started.acquire(timeout=5) for _ in range(20))
    ours = [thread for thread in threading.enumerate() if thread.name == "tested"]
    assert all(thread.daemon for thread in ours)
    over.set()


def test_a_task_that_fails_costs_neither_the_thread_nor_the_next_task() -> None:
    """Its exception is logged and that is that."""
    crew, done = ThreadCache("tested"), threading.Event()

    crew.submit(lambda: 1 / 0)  # type: ignore[arg-type]
    crew.submit(done.set)

    assert done.wait(5)


def test_no_task_is_lost_to_a_thread_that_retires(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task may be handed over in the very moment in which its thread gives up waiting."""
    monkeypatch.setattr(threads, "MAX_IDLE_SECONDS", 0.001)
    crew, done = ThreadCache("retiring"), threading.Semaphore(0)

    for number in range(600):
        crew.submit(done.release)
        time.sleep(0.001 if number % 3 else 0.0015)

    assert all(done.acquire(timeout=5) for _ in range(600))
    assert not done.acquire(timeout=0.05)
    give_up = time.monotonic() + 5
    while any(thread.name == "retiring" for thread in threading.enumerate()):
        assert time.monotonic() < give_up
        time.sleep(0.01)
