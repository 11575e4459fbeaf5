"""A small HTTP/1.1 server with little CPU per request.

The responses of a batch are due at the same time, so the CPU time of each is a part of the latency
of all that follow. A server with uvicorn, h11 and Starlette uses 0.8 ms per request (1.1 ms with a
new connection), this one 0.3 ms (0.5 ms), at 200 requests/s on the machine of bench/README.md.
"""

import asyncio
import re
import resource
import socket
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

MAX_REQUEST_BYTES = 1024 * 1024
MAX_OPEN_FILES = 10_000

_REQUEST_LINE = re.compile(rb"([A-Z]+) ([^ ]+) HTTP/1\.([01])\r\n")
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_TRANSFER_ENCODING = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request; `path` is without the query. The connection stays open if `keep_alive` is set."""

    method: str
    path: str
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A response with a JSON document as its body, and further header lines such as `b"A: b"`."""

    status: HTTPStatus
    body: bytes
    headers: tuple[bytes, ...] = ()


class BadRequestError(Exception):
    """A request that this server cannot read. The message says what to send."""


Respond = Callable[[HttpResponse], None]
Handler = Callable[[HttpRequest, Respond], None]


class HttpServer:
    """Calls `handle` with each request, and a function that sends its response at any time."""

    @classmethod
    async def open(cls, handle: Handler, host: str, port: int) -> Self:
        """Return a server that listens; port 0 is any free port. Raises OSError."""
        _raise_file_limit()
        server = cls(handle)
        listener = socket.create_server((host, port))
        server.port = listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        server._server = await loop.create_server(server._connect, sock=listener)
        return server

    def __init__(self, handle: Handler) -> None:
        self.port = 0
        self._handle = handle
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def close(self) -> None:
        """Stop listening and close all connections, also with requests in flight."""
        if self._server:
            self._server.close()
        for connection in list(self._connections):
            connection.close()

    def _connect(self) -> "_Connection":
        return _Connection(self._handle, self._connections)


def _raise_file_limit() -> None:
    """Allow MAX_OPEN_FILES, or as many as this process may.

    An overloaded model has a connection for each request in its queue. The usual limit is 1024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


class _Connection(asyncio.Protocol):
    """Processes the requests of a connection one after the other."""

    def __init__(self, handle: Handler, connections: "set[_Connection]") -> None:
        self._handle = handle
        self._connections = connections
        self._received = bytearray()
        self._request: HttpRequest | None = None  # the one in flight

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (of the interface)
        self._connections.discard(self)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._request:
            self._read_request()

    def _read_request(self) -> None:
        try:
            self._request = take_request(self._received)
        except BadRequestError as error:
            body = b'{"error": "%s"}' % str(error).encode()
            self._send(HttpResponse(status=HTTPStatus.BAD_REQUEST, body=body), keep_alive=False)
            return
        if self._request:
            self._handle(self._request, self._respond)

    def _respond(self, response: HttpResponse) -> None:
        request, self._request = self._request, None
        assert request
        self._send(response, keep_alive=request.keep_alive)
        if self._received and not self._transport.is_closing():
            self._read_request()

    def _send(self, response: HttpResponse, *, keep_alive: bool) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(encode_response(response, keep_alive=keep_alive))
        if not keep_alive:
            self._transport.close()


def take_request(received: bytearray) -> HttpRequest | None:
    """Remove the first request from `received` and return it; None if it is not complete.

    Raises BadRequestError.
    """
    if len(received) > MAX_REQUEST_BYTES:
        raise BadRequestError(f"send at most {MAX_REQUEST_BYTES} bytes")
    end = received.find(b"\r\n\r\n") + 4
    if end < 4:
        return None
    head = bytes(received[:end])
    line = _REQUEST_LINE.match(head)
    if not line or _TRANSFER_ENCODING.search(head):
        raise BadRequestError("send HTTP/1.1 with Content-Length")
    length = _CONTENT_LENGTH.search(head)
    end_of_body = end + (int(length[1]) if length else 0)
    if len(received) < end_of_body:
        return None
    body = bytes(received[end:end_of_body])
    del received[:end_of_body]
    return HttpRequest(
        method=line[1].decode(),
        path=line[2].partition(b"?")[0].decode(errors="replace"),
        body=body,
        keep_alive=line[3] == b"1" and not _CLOSE.search(head),
    )


def encode_response(response: HttpResponse, *, keep_alive: bool) -> bytes:
    """Return the bytes of a response."""
    lines = [
        f"HTTP/1.1 {response.status.value} {response.status.phrase}".encode(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(response.body),
        *response.headers,
        *(() if keep_alive else (b"Connection: close",)),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + response.body
