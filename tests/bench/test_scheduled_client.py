"""The client that scrapes blackbox_exporter."""

import asyncio
import time
from contextlib import closing

import pytest

from bench.scheduled_client import ScheduledClient, ScheduledRequest, body_text, is_complete
from tests.servers import serve

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nprobe\r\n4\r\n_x 1\r\n0\r\n\r\n"
SIZED = HEAD + b"content-length: 9\r\n\r\nprobe_x 1"


@pytest.mark.parametrize("response", [CHUNKED, SIZED], ids=["chunked", "sized"])
def test_response_is_complete_with_its_last_byte(response: bytes) -> None:
    """A response is complete with its last byte and not before."""
    assert [is_complete(response[:end]) for end in range(len(response))] == [False] * len(response)
    assert is_complete(response)


@pytest.mark.parametrize("response", [CHUNKED, SIZED], ids=["chunked", "sized"])
def test_body_of_several_chunks(response: bytes) -> None:
    """The text of a response does not depend on its division into chunks."""
    assert body_text(response) == "probe_x 1"


async def respond_after_100_ms(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        await asyncio.sleep(0.1)
        writer.write(SIZED)


def test_requests_are_sent_when_due() -> None:
    """A request is sent when it is due and a connection is idle. All responses are returned."""
    due_seconds = [0.0, 0.05, 0.05]
    with (
        serve(respond_after_100_ms) as url,
        closing(ScheduledClient(int(url.strip("/").rpartition(":")[2]), connections=2)) as client,
    ):
        start, start_time = time.monotonic_ns(), time.time()
        responses = client.send(
            ScheduledRequest(start + round(due * 1e9), number, f"/{number}")
            for number, due in enumerate(due_seconds)
        )
    assert [body_text(response.raw) for response in responses] == ["probe_x 1"] * 3
    assert [response.number for response in responses] == [0, 1, 2]
    sent = [response.sent - start_time for response in responses]
    assert sent[1] >= 0.045
    assert sent[2] >= 0.095
