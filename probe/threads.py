"""Threads that can be left behind.

`concurrent.futures` joins its threads when the interpreter ends: one name lookup that hangs would
keep a stopped daemon alive for minutes. These threads do not outlive the process's wish to end.
"""

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

Task = Callable[[], None]

logger = logging.getLogger(__name__)

MAX_IDLE_SECONDS = 60.0
"""How long a thread without work is kept: long enough for the slowest common interval."""


class ThreadCache:
    """Runs each task at once: on the thread that became idle last, or on a new one.

    There is no queue, so a task never waits for its neighbours; whoever submits decides how many
    may run. The last idle thread goes first so that those that a burst needed can retire.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[SimpleQueue[Task]] = []

    def submit(self, task: Task) -> None:
        """Raises RuntimeError when the system has no thread left."""
        try:
            self._idle.pop().put(task)
        except IndexError:
            threading.Thread(target=self._work, args=(task,), name=self._name, daemon=True).start()

    def _work(self, task: Task | None) -> None:
        mailbox: SimpleQueue[Task] = SimpleQueue()
        while task is not None:
            try:
                task()
            except Exception:
                logger.exception("a task on a %s thread failed", self._name)
            self._idle.append(mailbox)
            task = self._next(mailbox)

    def _next(self, mailbox: SimpleQueue[Task]) -> Task | None:
        """The next task, or None when this thread is to retire."""
        try:
            return mailbox.get(timeout=MAX_IDLE_SECONDS)
        except Empty:
            try:
                self._idle.remove(mailbox)
            except ValueError:  # a submitter took the mailbox just now: its task is on the way
                return mailbox.get()
            return None
