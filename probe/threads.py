"""Reused daemon threads without a queue, and fairness between threads.

`concurrent.futures` joins its threads when the interpreter exits: one name lookup that hangs would
keep a stopped daemon alive for minutes. These threads are daemonic and do not delay the exit.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Task = Callable[[], None]

logger = logging.getLogger(__name__)

# Idle threads are kept this long. It covers the usual intervals of probes.
MAX_IDLE_SECONDS = 60.0

# Pause in long work for scrapes and pages. Without it, probes that run meanwhile wait 5 ms for the
# GIL each time they need it, and start 25 to 45 ms late at the 99th percentile instead of 5 ms (200
# probes per second).
GIL_YIELD_SECONDS = 0.0001
# Time between two pauses, unless the work on one item takes longer.
MAX_GIL_SECONDS = 0.001
# Sum of the pauses in one piece of work. If many threads need the CPU, each pause takes longer, and
# a scrape with a pause in each millisecond would not end before its timeout.
MAX_PAUSES_SECONDS = 1.0

# Threads that wait for the GIL wake up once per switch interval. The interval is proportional to
# the number of threads, so that all together wake up at most MAX_WAKE_UPS_PER_SECOND times, up to
# MAX_SWITCH_INTERVAL_SECONDS. With 5 ms and the CPU time of 1.5 cores, the queue for
# the GIL grew to 2,200 threads at 1,000 probes/s.
MAX_WAKE_UPS_PER_SECOND = 8_000

# Python's default. It is in effect with up to 40 busy threads.
MIN_SWITCH_INTERVAL_SECONDS = 0.005

# Maximum time for which a thread that computes without a pause delays the others. The limit holds
# above 240 busy threads: most of them may wait for responses, and not for the GIL. With 15 ms,
# up to 220 ticks were skipped at 1,000 probes/s on 1.5 cores, with a reload.
MAX_SWITCH_INTERVAL_SECONDS = 0.03


class _NoWaitEvent(threading.Event):
    """Event whose `wait` returns at once."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 (the interface)
        return True


class _NoWaitThread(threading.Thread):
    """Thread whose `start` does not wait until it runs.

    It would wait for the GIL: while 25 other threads needed it, 100 starts took 0.4 s instead of
    2 ms. The caller is often the thread that has to start other runs.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._started = _NoWaitEvent()


class ThreadCache:
    """Runs each task at once, on an idle thread or on a new one.

    There is no queue and no limit: a task never waits for another one. Callers limit the number of
    tasks. The thread that became idle last is used first, so that the threads of a burst retire.
    """

    def __init__(self, name: str) -> None:
        """`name` is the name of the threads."""
        self._name = name
        # Queues of the idle threads. List methods are atomic, so no lock is needed.
        self._idle: list[SimpleQueue[Task]] = []

    def submit(self, task: Task) -> None:
        """Run `task` on another thread. Raises RuntimeError if the system has no thread left."""
        try:
            queue = self._idle.pop()
        except IndexError:
            queue = self._start_thread()
        _busy_threads.add(queue)
        _adapt_switch_interval()
        queue.put(task)

    def _start_thread(self) -> SimpleQueue[Task]:
        """Start a thread, and return its queue."""
        queue: SimpleQueue[Task] = SimpleQueue()
        _NoWaitThread(target=self._work, args=(queue,), name=self._name, daemon=True).start()
        return queue

    def _work(self, queue: SimpleQueue[Task]) -> None:
        task: Task | None = queue.get()
        while task is not None:
            try:
                task()
            except Exception:
                logger.exception("a task on a %s thread failed", self._name)
            _busy_threads.remove(queue)
            _adapt_switch_interval()
            self._idle.append(queue)
            task = self._next_task(queue)

    def _next_task(self, queue: SimpleQueue[Task]) -> Task | None:
        """Return the next task, or None if the thread has been idle for too long."""
        try:
            return queue.get(timeout=MAX_IDLE_SECONDS)
        except Empty:
            try:
                self._idle.remove(queue)
            except ValueError:
                # `submit` took the queue at this moment and is about to put a task.
                return queue.get()
            return None


# Queues of the threads of all caches that run a task. Set methods are atomic, too. Idle threads do
# not count for the switch interval: after a burst, they are kept for MAX_IDLE_SECONDS.
_busy_threads = set[SimpleQueue[Task]]()


def _adapt_switch_interval() -> None:
    """Set the switch interval for the number of busy threads, after it has changed."""
    interval = len(_busy_threads) / MAX_WAKE_UPS_PER_SECOND
    interval = min(max(interval, MIN_SWITCH_INTERVAL_SECONDS), MAX_SWITCH_INTERVAL_SECONDS)
    sys.setswitchinterval(interval)


def yield_gil(items: Iterable[T]) -> Iterator[T]:
    """Yield the items, and release the GIL for a moment after each MAX_GIL_SECONDS.

    After MAX_PAUSES_SECONDS of such pauses, it is released by the interpreter only.
    """
    start, pauses = time.monotonic(), 0.0
    for item in items:
        now = time.monotonic()
        if now - start > MAX_GIL_SECONDS and pauses < MAX_PAUSES_SECONDS:
            time.sleep(GIL_YIELD_SECONDS)
            start = time.monotonic()
            pauses += start - now
        yield item
