"""An endpoint that records the requests it receives."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.servers import OK, serve

# Parts of a response, each sent after a delay (seconds).
Parts = list[tuple[float, bytes]]


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as the server received it. `received` is an instant (monotonic, seconds)."""

    received: float
    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class RecordingServer:
    url: str
    requests: list[RecordedRequest] = field(default_factory=list)


def sse(*events: str) -> bytes:
    """Return chunks of a chunked body, one for each event."""
    chunks = [f"data: {event}\n\n".encode() for event in events]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"


@contextmanager
def record_requests(
    respond: Callable[[int], Parts] = lambda _: [(0.0, OK)], tls: ssl.SSLContext | None = None
) -> Iterator[RecordingServer]:
    """Run a server whose response to request n, from 0, is `respond(n)`."""
    server: RecordingServer

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for request in _read_requests(reader):
            number = len(server.requests)
            server.requests.append(request)
            for delay, part in respond(number):
                await asyncio.sleep(delay)
                writer.write(part)
                await writer.drain()
            if ("connection", "close") in [(k.lower(), v) for k, v in request.headers]:
                return

    with serve(handle, tls) as url:
        server = RecordingServer(url)
        yield server


async def _read_requests(reader: asyncio.StreamReader) -> AsyncIterator[RecordedRequest]:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        received = time.monotonic()
        line, *lines = head.strip().split("\r\n")
        headers = tuple(
            (name, value) for name, _, value in (item.partition(": ") for item in lines)
        )
        length = {name.lower(): value for name, value in headers}.get("content-length", "0")
        yield RecordedRequest(received, line, headers, await reader.readexactly(int(length)))
