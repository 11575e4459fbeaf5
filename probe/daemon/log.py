"""Log lines as Prometheus and its exporters write them: logfmt, or JSON; each on one line."""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

from probe.daemon.log_handler import NonBlockingHandler

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")

BURST_RECORDS = 1000
"""Lines that one logger may write at once: one for each of many probes that fail together."""
RECORDS_PER_SECOND = 10.0
"""Lines that it may write after that."""

logger = logging.getLogger(__name__)


class _Fields(logging.Formatter):
    """A record as fields: time, level, message, and whatever was passed as `extra={"fields":}`."""

    def fields(self, record: logging.LogRecord) -> dict[str, object]:
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


class LogfmtFormatter(_Fields):
    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={_word(value)}" for key, value in self.fields(record).items())


class JsonFormatter(_Fields):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.fields(record), default=str)


def _word(value: object) -> str:
    """A value of logfmt: quoted where it is not one plain word."""
    text = str(value)
    plain = text.isprintable() and not any(sign in text for sign in ' ="\\')
    return text if text and plain else json.dumps(text)


class RateLimitFilter(logging.Filter):
    """Lets no logger flood the log, whatever goes wrong and however often; what it left out is
    counted in the next line. Who asks for debugging gets all of that for which there is room.
    """

    def __init__(self, full: Callable[[], bool], now: Callable[[], float] = time.monotonic) -> None:
        """`full` says that there is no room for any line at present; `now` is in seconds."""
        super().__init__()
        self._full = full
        self._now = now
        self._lock = threading.RLock()  # a finalizer may log in the midst of this
        self._levels: dict[str, tuple[float, float]] = {}
        """By logger, how many lines it may write now, and as of when."""
        self._left_out: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        with self._lock:
            if self._lets_through(record):
                record.left_out = self._left_out.pop(record.name, 0)
                return True
            self._left_out[record.name] = self._left_out.get(record.name, 0) + 1
            return False

    def _lets_through(self, record: logging.LogRecord) -> bool:
        if self._full():
            return False
        return record.levelno <= logging.DEBUG or self._take(record.name)

    def _take(self, name: str) -> bool:
        now = self._now()
        level, since = self._levels.get(name, (BURST_RECORDS, now))
        level = min(BURST_RECORDS, level + (now - since) * RECORDS_PER_SECOND)
        there_is_one = level >= 1
        self._levels[name] = (level - there_is_one, now)
        return there_is_one


def configure(level: str, form: str) -> None:
    """Send the log of the whole process to stderr, and nothing else there."""
    outlet = NonBlockingHandler(_stderr())
    outlet.setFormatter(JsonFormatter() if form == "json" else LogfmtFormatter())
    outlet.addFilter(RateLimitFilter(lambda: outlet.full))
    logging.basicConfig(level=level.upper(), handlers=[outlet], force=True)
    logging.getLogger("apscheduler").setLevel(logging.WARNING)  # else two lines for each run
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of whatever a scanner sends
    logging.raiseExceptions = False  # else a line that cannot be made is a traceback
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def _stderr() -> int:
    """Python has none where it began with that closed; its number may be another file's by now."""
    return sys.stderr.fileno() if sys.stderr else os.open(os.devnull, os.O_WRONLY)


def _uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    logger.error("uncaught exception", exc_info=(kind, error, traceback))


def _uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    error = told.exc_value or told.exc_type()
    thread = told.thread.name if told.thread else None
    logger.error("uncaught exception", exc_info=error, extra={"fields": {"thread": thread}})


def _unraisable(told: "sys.UnraisableHookArgs") -> None:
    """What a finalizer raises, for instance. Of the object its type must do: it may be dying."""
    error = told.exc_value or told.exc_type()
    fields = {"object": type(told.object).__name__}
    logger.error(told.err_msg or "exception ignored", exc_info=error, extra={"fields": fields})
