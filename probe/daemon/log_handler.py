"""Where the log leaves the process: nobody who has something to say waits for who reads it."""

import logging
import os
import threading
from contextlib import suppress
from logging.handlers import QueueHandler
from queue import SimpleQueue

MAX_QUEUED_RECORDS = 5000
"""Lines that may wait for their reader, a megabyte or so: several loggers' bursts."""

FLUSH_TIMEOUT_SECONDS = 1.0
"""Seconds that the end waits for the reader of the last lines."""


class NonBlockingHandler(QueueHandler):
    """Hands finished lines to one thread, which alone may come to a standstill over a pipe that
    nobody reads. The standard library's QueueListener waits for its thread without end.
    """

    queue: "SimpleQueue[str | threading.Event]"
    """Of C, so that a finalizer may log while its thread is about to put something."""

    def __init__(self, descriptor: int) -> None:
        """Raises RuntimeError where the system has no thread left."""
        super().__init__(SimpleQueue())
        self._descriptor = descriptor
        threading.Thread(target=self._work, name="log", daemon=True).start()

    @property
    def full(self) -> bool:
        """Whether the next line should rather be left out."""
        return self.queue.qsize() >= MAX_QUEUED_RECORDS

    def prepare(self, record: logging.LogRecord) -> str:
        """The line, made while what it tells is still so."""
        return f"{self.format(record)}\n"

    def flush(self) -> None:
        """Wait until what has been said so far is written, but not for longer than PATIENCE."""
        written = threading.Event()
        self.queue.put(written)
        written.wait(FLUSH_TIMEOUT_SECONDS)

    def _work(self) -> None:
        while True:
            told = self.queue.get()
            if isinstance(told, threading.Event):
                told.set()
            else:
                self._write(told.encode(errors="backslashreplace"))

    def _write(self, line: bytes) -> None:
        """By the descriptor: the interpreter could not end while a stream's lock is held."""
        with suppress(OSError):  # a log that cannot be written has nowhere to say so
            while line:
                line = line[os.write(self._descriptor, line) :]
