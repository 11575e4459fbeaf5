"""Daemon threads that are used again."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from probe.threads import (
    MAX_GIL_SECONDS,
    MAX_PAUSES_SECONDS,
    MAX_SWITCH_INTERVAL_SECONDS,
    MAX_WAKE_UPS_PER_SECOND,
    MIN_SWITCH_INTERVAL_SECONDS,
    ThreadCache,
    yield_gil,
)


def test_tasks_never_wait_for_each_other() -> None:
    """Twenty tasks that each wait for all the others finish."""
    barrier = threading.Barrier(21)
    threads = ThreadCache("test")

    def arrive() -> None:
        barrier.wait(5)

    for _ in range(20):
        threads.submit(arrive)
    barrier.wait(5)


def test_threads_are_used_again() -> None:
    """Tasks that follow each other need one thread."""
    threads, idents = ThreadCache("test"), set[int]()
    for _ in range(10):
        done = threading.Event()

        def task(done: threading.Event = done) -> None:
            idents.add(threading.get_ident())
            done.set()

        threads.submit(task)
        assert done.wait(5)
        time.sleep(0.01)  # until the thread is idle
    assert len(idents) == 1


def test_a_thread_survives_an_exception(caplog: pytest.LogCaptureFixture) -> None:
    """The exception is logged, and the thread takes the next task."""
    threads, idents = ThreadCache("test"), list[int]()

    def fail() -> None:
        idents.append(threading.get_ident())
        raise RuntimeError("failed on purpose")

    for count in (1, 2):
        threads.submit(fail)
        end = time.monotonic() + 5
        while caplog.text.count("RuntimeError: failed on purpose") < count:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.01)  # until the thread is idle
    assert len(set(idents)) == 1


def test_idle_threads_retire(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that is idle for too long ends."""
    monkeypatch.setattr("probe.threads.MAX_IDLE_SECONDS", 0.05)
    threads, done = ThreadCache("retiring"), threading.Event()
    threads.submit(done.set)
    assert done.wait(5)
    end = time.monotonic() + 5
    while any(thread.name == "retiring" for thread in threading.enumerate()):
        assert time.monotonic() < end, "the thread is still there"
        time.sleep(0.01)
    again = threading.Event()
    threads.submit(again.set)
    assert again.wait(5)


def test_a_retiring_thread_loses_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task may be submitted at the moment at which a thread stops waiting for one."""
    monkeypatch.setattr("probe.threads.MAX_IDLE_SECONDS", 0.001)
    threads, done = ThreadCache("retiring"), threading.Semaphore(0)

    for number in range(600):
        threads.submit(done.release)
        time.sleep(0.001 if number % 3 else 0.0015)

    assert all(done.acquire(timeout=5) for _ in range(600))
    assert not done.acquire(timeout=0.05)
    end = time.monotonic() + 5
    while any(thread.name == "retiring" for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_hanging_task_does_not_delay_the_exit() -> None:
    """The interpreter exits while a task hangs."""
    code = (
        "import time; from probe.threads import ThreadCache; "
        "ThreadCache('x').submit(lambda: time.sleep(60)); print('end')"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], timeout=20, capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stdout) == (0, "end\n")


@pytest.mark.usefixtures("same_switch_interval")
def test_a_new_thread_is_not_awaited() -> None:
    """Its start takes no time even if another thread holds the GIL for long."""
    begin, ran, end = threading.Event(), threading.Event(), 0.0

    def compute() -> None:
        wait_for(begin)
        while time.monotonic() < end:
            pass

    threading.Thread(target=compute, daemon=True).start()
    # Until it waits, this thread keeps the GIL.
    sys.setswitchinterval(60)
    threads = ThreadCache("test")
    end = time.monotonic() + 1
    begin.set()
    threads.submit(ran.set)
    assert time.monotonic() < end - 0.5
    wait_for(ran)


def wait_for(event: threading.Event) -> None:
    """Wait for `event`."""
    assert event.wait(5)


@pytest.mark.usefixtures("same_switch_interval")
def test_many_threads_wake_up_rarely() -> None:
    """The switch interval grows with the number of busy threads, up to a limit."""
    threads, end = ThreadCache("many"), threading.Event()
    for _ in range(80):
        threads.submit(lambda: wait_for(end))
    assert sys.getswitchinterval() == pytest.approx(80 / MAX_WAKE_UPS_PER_SECOND)
    for _ in range(200):
        threads.submit(lambda: wait_for(end))
    assert sys.getswitchinterval() == pytest.approx(MAX_SWITCH_INTERVAL_SECONDS)

    end.set()

    # The idle threads are kept, but they do not wait for the GIL.
    deadline = time.monotonic() + 5
    while sys.getswitchinterval() > MIN_SWITCH_INTERVAL_SECONDS:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert sum(thread.name == "many" for thread in threading.enumerate()) == 280


@pytest.fixture
def same_switch_interval() -> Iterator[None]:
    """Restore the switch interval after a test."""
    interval = sys.getswitchinterval()
    yield
    sys.setswitchinterval(interval)


def test_long_work_yields_the_gil() -> None:
    """Another thread runs during long work, although nothing forces the work to stop."""
    begin, ran = threading.Event(), threading.Event()

    def run() -> None:
        begin.wait()
        ran.set()

    threading.Thread(target=run, daemon=True).start()
    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        end = time.monotonic() + 2
        begin.set()
        for _ in yield_gil(itertools.count()):
            if ran.is_set() or time.monotonic() > end:
                break
        assert ran.is_set()
    finally:
        sys.setswitchinterval(switch_interval)


def test_pauses_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """If each pause takes long, because many threads need the CPU, the work goes on without."""
    now, pauses = 0.0, 0

    def pause(_: float) -> None:
        nonlocal pauses, now
        pauses += 1
        now += MAX_PAUSES_SECONDS / 10

    def work() -> Iterator[int]:
        nonlocal now
        for item in range(1000):
            now += 2 * MAX_GIL_SECONDS
            yield item

    monkeypatch.setattr("probe.threads.time.sleep", pause)
    monkeypatch.setattr("probe.threads.time.monotonic", lambda: now)

    assert len(list(yield_gil(work()))) == 1000
    assert 9 <= pauses <= 11
