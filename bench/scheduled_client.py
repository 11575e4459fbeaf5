"""An HTTP client that sends requests at given times and uses little CPU itself."""

import io
import re
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPResponse

# For the responses after the last request.
RESPONSE_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ScheduledRequest:
    """A path to request, and when: in nanoseconds of the monotonic clock."""

    due: int
    number: int
    path: str


@dataclass(slots=True)
class Response:
    """The time at which a request was sent (Unix time), and its unparsed response."""

    number: int
    sent: float
    raw: bytearray


class ScheduledClient:
    """Sends each request on an idle connection of a fixed set.

    It has one thread and parses nothing meanwhile, because it shares the machine with the program
    that is measured.
    """

    def __init__(self, port: int, connections: int = 32) -> None:
        self._selector = selectors.DefaultSelector()
        self._connections = [
            socket.create_connection(("127.0.0.1", port)) for _ in range(connections)
        ]
        for connection in self._connections:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ)
        self._idle = deque(self._connections)
        self._busy: dict[int, Response] = {}

    def send(self, requests: Iterable[ScheduledRequest]) -> list[Response]:
        """Send each request when it is due and a connection is idle; return all responses."""
        responses = []
        for request in requests:
            while (left := request.due - time.monotonic_ns()) > 0 or not self._idle:
                self._read(max(left, 0) / 1e9 if self._idle else RESPONSE_TIMEOUT_SECONDS)
            responses.append(self._send(request))
        deadline = time.monotonic() + RESPONSE_TIMEOUT_SECONDS
        while self._busy and time.monotonic() < deadline:
            self._read(RESPONSE_TIMEOUT_SECONDS)
        return responses

    def _send(self, request: ScheduledRequest) -> Response:
        connection = self._idle.popleft()
        response = Response(request.number, time.time(), bytearray())
        self._busy[connection.fileno()] = response
        connection.sendall(f"GET {request.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return response

    def _read(self, timeout_seconds: float) -> None:
        for key, _ in self._selector.select(timeout_seconds):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("the server has closed a connection")
            response = self._busy[connection.fileno()]
            response.raw += data
            if is_complete(response.raw):
                del self._busy[connection.fileno()]
                self._idle.append(connection)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._selector.close()


def is_complete(raw: bytes | bytearray) -> bool:
    """Return whether the last byte of a response with a length or with chunks has arrived."""
    head, separator, body = bytes(raw).partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if not separator:
        return False
    return len(body) >= int(length[1]) if length else body.endswith(b"\r\n0\r\n\r\n")


class _RecordedSocket:
    """The only method of a socket that HTTPResponse uses."""

    def __init__(self, raw: bytes | bytearray) -> None:
        self._raw = raw

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._raw)


def body_text(raw: bytes | bytearray) -> str:
    """Return the decoded body of a complete response."""
    response = HTTPResponse(_RecordedSocket(raw))  # type: ignore[arg-type]  # a part of a socket
    response.begin()
    return response.read().decode()
