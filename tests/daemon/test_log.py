"""The log: whatever happens, each line is one record in the format that was asked for."""

import json
import logging
import re
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.daemon import log
from tests.commands import environment

HOSTILE = 'a"b\\c\nts=1 level=error msg=forged\r\u2028\x1b[31m\u202e\ud800 {"msg": "forged"} = '
_PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "=\\]+)(?: |$)')


def read(line: str, form: str) -> dict[str, Any]:
    """The fields of a line; fails on a line that is not all fields."""
    if form == "json":
        fields: dict[str, Any] = json.loads(line)
        return fields
    assert not _PAIR.sub("", line), line
    return {
        key: json.loads(value) if value[0] == '"' else value for key, value in _PAIR.findall(line)
    }


def written(form: str, message: str, fields: dict[str, object]) -> str:
    record = logging.LogRecord("x", logging.INFO, "", 0, message, None, None)
    record.fields = fields
    return (log.JsonFormatter() if form == "json" else log.LogfmtFormatter()).format(record)


@pytest.mark.parametrize("form", log.FORMATS)
@settings(deadline=None)  # the machine may be busy
@given(message=st.text() | st.just(HOSTILE), detail=st.text() | st.just(HOSTILE))
def test_nobody_forges_a_line(form: str, message: str, detail: str) -> None:
    """Of whatever text there is one line, which gives the same text back, and nothing else."""
    line = written(form, message, {"detail": detail})
    assert line.isprintable()
    fields = read(line, form)
    assert (fields["msg"], fields["detail"]) == (message, detail)
    assert set(fields) == {"ts", "level", "msg", "detail"}


TROUBLE = """
    import gc, logging, sys, threading, warnings
    from probe.daemon import log

    log.configure("debug", sys.argv[1])

    class Dying:
        def __del__(self):
            raise ValueError("in a finalizer")

    def fail():
        raise ValueError("in a\\nthread")

    one = threading.Thread(target=fail, name="one")
    one.start()
    one.join()
    warnings.warn("a library's\\nwarning")
    logging.getLogger("urllib3.connectionpool").warning("Retrying %s", "http://a/\\n")
    logging.getLogger("apscheduler.scheduler").info("Added job")
    logging.getLogger("apscheduler.scheduler").error("Error submitting job")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application", exc_info=ValueError())
    logging.getLogger("asyncio").error("Task was destroyed")
    logging.getLogger("somebody").error("%d", "no number")
    Dying()
    gc.collect()
    raise KeyError("in the main thread")
"""


@pytest.mark.parametrize("form", log.FORMATS)
def test_nothing_but_lines_of_the_format(form: str) -> None:
    """Also of libraries, of threads, of finalizers, and when all is over."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(TROUBLE), form],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    lines = [read(line, form) for line in done.stderr.splitlines()]
    messages = [str(line["msg"]) for line in lines]
    assert [line["traceback"].splitlines()[-1] for line in lines if "Traceback" in str(line)] == [
        "thread",
        "ValueError: in a finalizer",
        "KeyError: 'in the main thread'",
    ]
    assert lines[0]["thread"] == "one"
    assert "a library's\nwarning" in messages[1]
    assert "Retrying http://a/\n" in messages
    assert "Error submitting job" in messages
    assert "Exception in ASGI application" in messages
    assert "Task was destroyed" in messages
    assert "Added job" not in messages
    assert "Invalid HTTP request received." not in messages


class Flow:
    """A dam, its time, and records that come to it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.full = False
        self.dam = log.RateLimitFilter(lambda: self.full, lambda: self.now)

    def pour(self, count: int, name: str = "x", level: int = logging.INFO) -> list[Any]:
        records = [logging.LogRecord(name, level, "", 0, "so", None, None) for _ in range(count)]
        return [record for record in records if self.dam.filter(record)]


def test_a_flood_is_held_back_and_counted() -> None:
    """A thousand lines at once, ten a second after that, and the next one tells the rest."""
    flow = Flow()
    assert len(flow.pour(5000)) == log.BURST_RECORDS
    flow.now = 1
    first, *others = flow.pour(100)
    assert len(others) == 9
    assert read(log.LogfmtFormatter().format(first), "logfmt")["left_out"] == "4000"
    assert "left_out" not in read(log.LogfmtFormatter().format(others[0]), "logfmt")


def test_one_flood_does_not_drown_others() -> None:
    """Another logger is heard, and whoever asks for debugging gets all of it."""
    flow = Flow()
    flow.pour(5000, level=logging.ERROR)
    assert len(flow.pour(1, "another")) == 1
    assert len(flow.pour(5000, level=logging.DEBUG)) == 5000
