"""The log's way out of the process: who writes never waits for who reads."""

import logging
import os
from collections.abc import Iterator

import pytest

from probe.daemon.log import LogfmtFormatter, RateLimitFilter
from probe.daemon.log_handler import MAX_QUEUED_RECORDS, NonBlockingHandler


class Pipe:
    """An outlet behind its dam, and the end at which the log is read."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self.outlet = outlet = NonBlockingHandler(self._writer)
        outlet.setFormatter(LogfmtFormatter())
        outlet.addFilter(RateLimitFilter(lambda: outlet.full))

    def say(self, count: int) -> None:
        for number in range(count):
            self.outlet.handle(
                logging.LogRecord("x", logging.DEBUG, "", 0, "line %d", (number,), None)
            )

    def read(self, least: int) -> list[str]:
        """As soon as there are so many lines."""
        text = b""
        while text.count(b"\n") < least:
            text += os.read(self._reader, 1_000_000)
        return text.decode().splitlines()

    def close(self) -> None:
        os.close(self._reader)  # whoever still writes has an error now
        self.outlet.flush()
        os.close(self._writer)


def _left_out(lines: list[str]) -> int:
    return sum(int(line.rpartition("left_out=")[2]) for line in lines if "left_out=" in line)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_nobody_waits_for_who_reads(pipe: Pipe) -> None:
    """What there is no room for is left out, counted, and told when there is."""
    pipe.say(10 * MAX_QUEUED_RECORDS)
    lines = pipe.read(MAX_QUEUED_RECORDS)
    pipe.say(1)
    while len(lines) + _left_out(lines) < 10 * MAX_QUEUED_RECORDS + 1:
        lines += pipe.read(1)
    assert len(lines) < 10 * MAX_QUEUED_RECORDS
    assert all(line.startswith("ts=") for line in lines)


def test_nobody_waits_at_the_end(pipe: Pipe) -> None:
    """What can be written is; what nobody reads is given up."""
    pipe.say(1)
    pipe.outlet.flush()
    assert len(pipe.read(1)) == 1
    pipe.say(MAX_QUEUED_RECORDS)
    pipe.outlet.flush()
    assert pipe.outlet.queue.qsize() > 0
