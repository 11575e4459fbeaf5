"""Threads that can be left behind."""

import subprocess
import sys
import threading
import time

import pytest

from probe.threads import ThreadCache


def test_tasks_never_wait_for_each_other() -> None:
    """Twenty tasks that each wait for all the others come to an end."""
    barrier = threading.Barrier(21)
    workers = ThreadCache("test")

    def arrive() -> None:
        barrier.wait(5)

    for _ in range(20):
        workers.submit(arrive)
    barrier.wait(5)


def test_threads_are_used_again() -> None:
    """One task after the other needs one thread."""
    workers, names = ThreadCache("test"), set()
    for _ in range(10):
        done = threading.Event()

        def task(done: threading.Event = done) -> None:
            names.add(threading.get_ident())
            done.set()

        workers.submit(task)
        assert done.wait(5)
        time.sleep(0.01)  # until the thread has laid itself down
    assert len(names) == 1


def test_a_task_that_fails_costs_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    """An exception is logged, and the thread takes the next task."""
    workers, names = ThreadCache("test"), []

    def fail() -> None:
        names.append(threading.get_ident())
        raise RuntimeError("as the test says")

    for count in (1, 2):
        workers.submit(fail)
        end = time.monotonic() + 5
        while caplog.text.count("RuntimeError: as the test says") < count:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.01)  # until the thread has laid itself down
    assert len(set(names)) == 1


def test_idle_threads_retire(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that has had nothing to do for a while is given back to the system."""
    monkeypatch.setattr("probe.threads.MAX_IDLE_SECONDS", 0.05)
    workers, done = ThreadCache("retiring"), threading.Event()
    workers.submit(done.set)
    assert done.wait(5)
    end = time.monotonic() + 5
    while any(thread.name == "retiring" for thread in threading.enumerate()):
        assert time.monotonic() < end, "the thread is still there"
        time.sleep(0.01)
    again = threading.Event()
    workers.submit(again.set)
    assert again.wait(5)


def test_a_hanging_task_does_not_keep_the_process() -> None:
    """A process ends although a task of it hangs."""
    code = (
        "import time; from probe.threads import ThreadCache; "
        "ThreadCache('x').submit(lambda: time.sleep(60)); print('end')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], timeout=20, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "end\n")
