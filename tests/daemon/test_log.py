"""The log: each line is one record in the configured format, and no caller ever waits."""

import json
import logging
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.daemon import log
from tests.commands import environment

HOSTILE = 'a"b\\c\nts=1 level=error msg=forged\r\u2028\x1b[31m\u202e\ud800 {"msg": "forged"} = '
_PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "=\\]+)(?: |$)')


def parse_line(line: str, form: str) -> dict[str, Any]:
    """Return the fields of a line; fail if anything in it is not a field."""
    if form == "json":
        fields: dict[str, Any] = json.loads(line)
        return fields
    assert not _PAIR.sub("", line), line
    return {
        key: json.loads(value) if value[0] == '"' else value for key, value in _PAIR.findall(line)
    }


def format_record(form: str, message: str, fields: dict[str, object]) -> str:
    record = logging.LogRecord("x", logging.INFO, "", 0, message, None, None)
    record.fields = fields
    return (log.JsonFormatter() if form == "json" else log.LogfmtFormatter()).format(record)


@pytest.mark.parametrize("form", log.FORMATS)
@settings(deadline=None)  # the machine may be busy
@given(message=st.text() | st.just(HOSTILE), detail=st.text() | st.just(HOSTILE))
def test_no_text_forges_a_line(form: str, message: str, detail: str) -> None:
    """Any text is written as one line with these fields, and can be read back unchanged."""
    line = format_record(form, message, {"detail": detail})
    assert line.isprintable()
    fields = parse_line(line, form)
    assert (fields["msg"], fields["detail"]) == (message, detail)
    assert set(fields) == {"ts", "level", "msg", "detail"}


FAULTS = """
    import gc, logging, sys, threading, warnings
    from probe.daemon import log

    log.configure("debug", sys.argv[1])

    class BrokenFinalizer:
        def __del__(self):
            raise ValueError("in a finalizer")

    def fail():
        raise ValueError("in a\\nthread")

    thread = threading.Thread(target=fail, name="failing")
    thread.start()
    thread.join()
    warnings.warn("a library's\\nwarning")
    logging.getLogger("urllib3.connectionpool").warning("Retrying %s", "http://a/\\n")
    logging.getLogger("apscheduler.scheduler").info("Added job")
    logging.getLogger("apscheduler.scheduler").error("Error submitting job")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=ValueError())
    logging.getLogger("asyncio").error("Task was destroyed")
    logging.getLogger("library").error("%d", "no number")
    BrokenFinalizer()
    gc.collect()
    raise KeyError("in the main thread")
"""


@pytest.mark.parametrize("form", log.FORMATS)
def test_stderr_has_only_lines_of_the_format(form: str) -> None:
    """Also from libraries, threads and finalizers, and at the exit."""
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FAULTS), form],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout) == (1, "")
    lines = [parse_line(line, form) for line in process.stderr.splitlines()]
    messages = [str(line["msg"]) for line in lines]
    assert [line["traceback"].splitlines()[-1] for line in lines if "Traceback" in str(line)] == [
        "thread",
        "ValueError: in a finalizer",
        "KeyError: 'in the main thread'",
    ]
    assert lines[0]["thread"] == "failing"
    assert "a library's\nwarning" in messages[1]
    assert "Retrying http://a/\n" in messages
    assert "Error submitting job" in messages
    assert "Exception in ASGI application" in messages
    assert "Task was destroyed" in messages
    assert "Added job" not in messages
    assert "Invalid HTTP request received." not in messages


class FilteredLoggers:
    """Rate limit filter with a clock and a queue that the test controls."""

    def __init__(self) -> None:
        self.now = 0.0
        self.full = False
        self.filter = log.RateLimitFilter(lambda: self.full, lambda: self.now)

    def log(self, count: int, name: str = "x", level: int = logging.INFO) -> list[Any]:
        """Log `count` records; return those that pass."""
        records = [logging.LogRecord(name, level, "", 0, "so", None, None) for _ in range(count)]
        return [record for record in records if self.filter.filter(record)]


def test_a_flood_is_limited_and_counted() -> None:
    """1000 lines at once, 10 per second after that. The next line has the number left out."""
    loggers = FilteredLoggers()
    assert len(loggers.log(5000)) == log.MAX_BURST_RECORDS
    loggers.now = 1
    first, *others = loggers.log(100)
    assert len(others) == 9
    assert parse_line(log.LogfmtFormatter().format(first), "logfmt")["left_out"] == "4000"
    assert "left_out" not in parse_line(log.LogfmtFormatter().format(others[0]), "logfmt")


def test_a_flood_does_not_suppress_other_loggers() -> None:
    """Each logger has its own limit, and DEBUG has none."""
    loggers = FilteredLoggers()
    loggers.log(5000, level=logging.ERROR)
    assert len(loggers.log(1, "another")) == 1
    assert len(loggers.log(5000, level=logging.DEBUG)) == 5000


class Pipe:
    """Handler that writes to a pipe, and the end at which a test reads it."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self.handler = handler = log.NonBlockingHandler(self._writer)
        handler.setFormatter(log.LogfmtFormatter())
        handler.addFilter(log.RateLimitFilter(lambda: handler.full))

    def log(self, count: int) -> None:
        for number in range(count):
            self.handler.handle(
                logging.LogRecord("x", logging.DEBUG, "", 0, "line %d", (number,), None)
            )

    def read(self, min_lines: int) -> list[str]:
        """Return the lines as soon as there are `min_lines`."""
        text = b""
        while text.count(b"\n") < min_lines:
            text += os.read(self._reader, 1_000_000)
        return text.decode().splitlines()

    def close(self) -> None:
        os.close(self._reader)  # a thread that is blocked in a write gets an error now
        self.handler.flush()
        os.close(self._writer)


def _left_out(lines: list[str]) -> int:
    return sum(int(line.rpartition("left_out=")[2]) for line in lines if "left_out=" in line)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_a_blocked_reader_does_not_block_callers(pipe: Pipe) -> None:
    """A line that the full queue cannot take is dropped and counted in a later line."""
    pipe.log(10 * log.MAX_QUEUED_RECORDS)
    lines = pipe.read(log.MAX_QUEUED_RECORDS)
    pipe.log(1)
    while len(lines) + _left_out(lines) < 10 * log.MAX_QUEUED_RECORDS + 1:
        lines += pipe.read(1)
    assert len(lines) < 10 * log.MAX_QUEUED_RECORDS
    assert all(line.startswith("ts=") for line in lines)


def test_a_blocked_reader_does_not_block_the_exit(pipe: Pipe) -> None:
    """`flush` writes what it can and gives up the rest."""
    pipe.log(1)
    pipe.handler.flush()
    assert len(pipe.read(1)) == 1
    pipe.log(log.MAX_QUEUED_RECORDS)
    pipe.handler.flush()
    assert pipe.handler.queue.qsize() > 0
