"""Asks an HTTP server on loopback at given instants and keeps what it says, at little cost."""

import io
import re
import selectors
import socket
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPResponse

PATIENCE = 5.0
"""Seconds after the last question that answers may take."""


@dataclass(frozen=True, slots=True)
class Question:
    """A path to ask for, and when: in nanoseconds of the monotonic clock."""

    due: int
    number: int
    path: str


@dataclass(slots=True)
class Answer:
    """When a question was asked (Unix time), and the answer as it came."""

    number: int
    asked: float
    raw: bytearray


class Driver:
    """Keeps some connections and asks on whichever is idle.

    One thread and as little work as can be until all is over: it shares the machine with those
    that it drives.
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
        self._busy: dict[int, Answer] = {}

    def drive(self, questions: Iterable[Question]) -> list[Answer]:
        """Ask each question when it is due, or as soon as a connection is idle; all answers."""
        answers = []
        for question in questions:
            while (left := question.due - time.monotonic_ns()) > 0 or not self._idle:
                self._read(max(left, 0) / 1e9 if self._idle else PATIENCE)
            answers.append(self._ask(question))
        give_up = time.monotonic() + PATIENCE
        while self._busy and time.monotonic() < give_up:
            self._read(PATIENCE)
        return answers

    def _ask(self, question: Question) -> Answer:
        connection = self._idle.popleft()
        answer = Answer(question.number, time.time(), bytearray())
        self._busy[connection.fileno()] = answer
        connection.sendall(f"GET {question.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return answer

    def _read(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("the server has closed a connection")
            answer = self._busy[connection.fileno()]
            answer.raw += data
            if complete(answer.raw):
                del self._busy[connection.fileno()]
                self._idle.append(connection)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._selector.close()


def complete(raw: bytes | bytearray) -> bool:
    """Whether an answer is all there; it has a length, or comes in chunks."""
    head, found, body = bytes(raw).partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if not found:
        return False
    return len(body) >= int(length[1]) if length else body.endswith(b"\r\n0\r\n\r\n")


class _Recorded:
    """As much of a socket as HTTPResponse reads from."""

    def __init__(self, raw: bytes | bytearray) -> None:
        self._raw = raw

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._raw)


def text(raw: bytes | bytearray) -> str:
    """The body of a complete answer."""
    response = HTTPResponse(_Recorded(raw))  # type: ignore[arg-type]  # all that it uses of it
    response.begin()
    return response.read().decode()
