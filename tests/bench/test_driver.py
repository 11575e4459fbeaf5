"""The client that drives blackbox_exporter."""

import asyncio
import time
from contextlib import closing

import pytest

from bench.driver import Driver, Question, complete, text
from tests.servers import serve

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nprobe\r\n4\r\n_x 1\r\n0\r\n\r\n"
SIZED = HEAD + b"content-length: 9\r\n\r\nprobe_x 1"


@pytest.mark.parametrize("answer", [CHUNKED, SIZED], ids=["chunked", "sized"])
def test_an_answer_is_complete_with_its_last_byte(answer: bytes) -> None:
    """An answer is complete when its last byte is there, and no sooner."""
    assert [complete(answer[:end]) for end in range(len(answer))] == [False] * len(answer)
    assert complete(answer)


@pytest.mark.parametrize("answer", [CHUNKED, SIZED], ids=["chunked", "sized"])
def test_a_line_may_be_cut_by_a_chunk(answer: bytes) -> None:
    """The text of an answer is what was meant, in however many chunks it came."""
    assert text(answer) == "probe_x 1"


async def keeping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers every request of a connection after 0.1 s."""
    while await reader.readuntil(b"\r\n\r\n"):
        await asyncio.sleep(0.1)
        writer.write(SIZED)


def test_questions_are_asked_when_they_are_due() -> None:
    """No question goes out before it is due, nor without an idle connection; all come back."""
    dues = [0.0, 0.05, 0.05]
    with (
        serve(keeping) as url,
        closing(Driver(int(url.strip("/").rpartition(":")[2]), connections=2)) as driver,
    ):
        now, wall = time.monotonic_ns(), time.time()
        answers = driver.drive(
            Question(now + round(due * 1e9), number, f"/{number}")
            for number, due in enumerate(dues)
        )
    assert [text(answer.raw) for answer in answers] == ["probe_x 1"] * 3
    assert [answer.number for answer in answers] == [0, 1, 2]
    asked = [answer.asked - wall for answer in answers]
    assert asked[1] >= 0.045
    assert asked[2] >= 0.095
