"""Log of the process on stderr: logfmt or JSON, one record per line, never blocking a caller."""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import QueueHandler
from queue import SimpleQueue
from types import TracebackType

from probe.rate_limiter import RateLimiter

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")

# Lines that one logger may write at once, e.g. when many probes fail together.
MAX_BURST_RECORDS = 1000

# Sustained rate of one logger after the burst.
MAX_RECORDS_PER_SECOND = 10.0

# Lines that wait for a slow reader of stderr, about 1 MB: the bursts of several loggers.
MAX_QUEUED_RECORDS = 5000

# Maximum time that the exit waits until the last lines are written.
FLUSH_TIMEOUT_SECONDS = 1.0

logger = logging.getLogger(__name__)


def configure(level: str, log_format: str) -> None:
    """Send the log of the whole process to stderr, and nothing else.

    `level` is one of LEVELS, `log_format` one of FORMATS. Raises RuntimeError if the system has no
    thread left.
    """
    handler = NonBlockingHandler(_stderr())
    handler.setFormatter(JsonFormatter() if log_format == "json" else LogfmtFormatter())
    handler.addFilter(RateLimitFilter(lambda: handler.full))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # APScheduler logs two lines per run at INFO.
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    # uvicorn warns of each malformed request, for example from port scanners.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    # Otherwise a record that cannot be formatted is printed as a traceback.
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


def _stderr() -> int:
    """Return the descriptor of stderr, or of /dev/null if the process was started without one.

    Descriptor 2 is not used directly: it may belong to another file in this case.
    """
    return sys.stderr.fileno() if sys.stderr else os.open(os.devnull, os.O_WRONLY)


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    logger.error("uncaught exception", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    error = args.exc_value or args.exc_type()
    thread = args.thread.name if args.thread else None
    logger.error("uncaught exception", exc_info=error, extra={"fields": {"thread": thread}})


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    """Log an exception that cannot be raised, e.g. in a finalizer.

    Only the type of the object is logged, because the object may be half destroyed.
    """
    error = args.exc_value or args.exc_type()
    fields = {"object": type(args.object).__name__}
    logger.error(args.err_msg or "exception ignored", exc_info=error, extra={"fields": fields})


class _FieldFormatter(logging.Formatter):
    """Base of formatters that write a record as key-value fields."""

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        """Return time, level, message and what was passed as `extra={"fields": {...}}`."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, object] = {
            "ts": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if left_out := getattr(record, "left_out", 0):
            fields["left_out"] = left_out
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return fields


class LogfmtFormatter(_FieldFormatter):
    """Formats records as logfmt, like Prometheus and its exporters."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(
            f"{key}={_logfmt_value(value)}" for key, value in self.fields(record).items()
        )


class JsonFormatter(_FieldFormatter):
    """Formats records as JSON objects."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.fields(record), default=str)


def _logfmt_value(value: object) -> str:
    """Return `value` as text, quoted unless it is one plain word."""
    text = str(value)
    plain = text.isprintable() and not any(char in text for char in ' ="\\')
    return text if text and plain else json.dumps(text)


class RateLimitFilter(logging.Filter):
    """Limits the rate of each logger with a token bucket, so that no failure floods the log.

    The next line of a logger says how many were left out (`left_out`). Records of level DEBUG are
    left out only while there is no room in the queue.
    """

    def __init__(self, full: Callable[[], bool], now: Callable[[], float] = time.monotonic) -> None:
        """`full` returns whether there is no room for a line at present; `now` is in seconds."""
        super().__init__()
        self._full = full
        # Reentrant, because a finalizer may log while its thread holds the lock.
        self._lock = threading.RLock()
        self._limiter = RateLimiter(
            size=MAX_BURST_RECORDS, per_second=MAX_RECORDS_PER_SECOND, now=now
        )
        self._left_out: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        with self._lock:
            if self._allows(record):
                record.left_out = self._left_out.pop(record.name, 0)
                return True
            self._left_out[record.name] = self._left_out.get(record.name, 0) + 1
            return False

    def _allows(self, record: logging.LogRecord) -> bool:
        if self._full():
            return False
        return record.levelno <= logging.DEBUG or not self._limiter.take(record.name)


class NonBlockingHandler(QueueHandler):
    """Writes formatted lines on a separate thread, so a blocked stderr never blocks a caller.

    The QueueListener of the standard library is not used: it waits for its thread without limit.
    """

    # SimpleQueue, because `put` is reentrant: a finalizer may log while its thread is in `put`.
    queue: "SimpleQueue[str | threading.Event]"

    def __init__(self, descriptor: int) -> None:
        """Start the thread. Raises RuntimeError if the system has none left."""
        super().__init__(SimpleQueue())
        self._descriptor = descriptor
        threading.Thread(target=self._work, name="log", daemon=True).start()

    @property
    def full(self) -> bool:
        """Whether the next record should be left out."""
        return self.queue.qsize() >= MAX_QUEUED_RECORDS

    def prepare(self, record: logging.LogRecord) -> str:
        """Return the line. It is formatted here because the arguments may change later."""
        return f"{self.format(record)}\n"

    def flush(self) -> None:
        """Wait until the lines in the queue are written, but at most FLUSH_TIMEOUT_SECONDS."""
        written = threading.Event()
        self.queue.put(written)
        written.wait(FLUSH_TIMEOUT_SECONDS)

    def _work(self) -> None:
        while True:
            item = self.queue.get()
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._write(item.encode(errors="backslashreplace"))

    def _write(self, line: bytes) -> None:
        # Not through sys.stderr: the interpreter cannot exit while the stream's lock is held.
        # An error of writing the log cannot be reported anywhere.
        with suppress(OSError):
            while line:
                line = line[os.write(self._descriptor, line) :]
