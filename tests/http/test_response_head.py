"""Ordinary heads have the same result in one pass as line by line."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.clock import Clock
from probe.http import response_reader
from probe.http.errors import ResponseError
from probe.http.response_head import MAX_HEADER_LINES, ResponseHead, parse_ordinary_head
from probe.http.response_reader import INITIAL_RECEIVE_BYTES, RECEIVE_BYTES, ResponseReader
from probe.http.stopwatch import Stopwatch
from probe.http.timed_socket import TimedSocket
from tests.raw_responses import messages


@dataclass
class FakeStream:
    """Stream of `content`, which arrives in one piece."""

    content: bytes

    def sendall(self, data: bytes) -> None:
        raise NotImplementedError

    def recv(self, size: int, /) -> bytes:
        data, self.content = self.content[:size], self.content[size:]
        return data


@dataclass
class Outcome:
    """What a reader has found in a response."""

    head: ResponseHead | None = None
    body: bytes = b""
    error: tuple[type[Exception], str] | None = None
    is_reusable: bool = False


def read(data: bytes, method: str = "GET") -> Outcome:
    outcome = Outcome()
    with TimedSocket() as sock:
        sock.stopwatch = Stopwatch(Clock(), 5)
        reader = ResponseReader(FakeStream(data), sock, stopwatch=None)
        try:
            outcome.head = reader.read_head(method)
            while piece := reader.read(RECEIVE_BYTES):
                outcome.body += piece
        except (ResponseError, ConnectionResetError) as error:
            outcome.error = type(error), str(error)
        outcome.is_reusable = reader.is_connection_reusable
    return outcome


@contextmanager
def line_by_line() -> Iterator[None]:
    """Let no head be ordinary."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(response_reader, "parse_ordinary_head", lambda *_: None)
        yield


def assert_same(data: bytes, method: str = "GET") -> None:
    outcome = read(data, method)
    with line_by_line():
        assert outcome == read(data, method)


def response(*headers: str, line: str = "HTTP/1.1 200 OK", body: bytes = b"ok") -> bytes:
    return "\r\n".join([line, *headers, "", ""]).encode("latin-1") + body


LENGTH, CHUNKED = "Content-Length: 2", "Transfer-Encoding: chunked"
ONE_CHUNK = b"2\r\nok\r\n0\r\n\r\n"

ORDINARY = {
    "length": response(LENGTH),
    "no body": response("Content-Length: 0", body=b""),
    "no reason": response(LENGTH, line="HTTP/1.1 200"),
    "empty reason": response(LENGTH, line="HTTP/1.1 200 "),
    "spaces in the reason": response(LENGTH, line="HTTP/1.1 404  Not\t Found "),
    "latin-1": response(LENGTH, "X: \u00e4\u00ff", line="HTTP/1.1 200 \u00e4"),
    "chunked": response(CHUNKED, body=ONE_CHUNK),
    "chunked in capitals": response("transfer-ENCODING: CHUNKED", body=ONE_CHUNK),
    "chunk extension and trailer": response(CHUNKED, body=b"2;a=b\r\nok\r\n0\r\nX: y\r\n\r\n"),
    "whitespace": response("Content-Length: \t2\t ", "X:a b", "Y: \t ", "Z:"),
    "colons": response(LENGTH, "X: a:b", "Y::", "Location: http://other:1/"),
    "repeated": response("X: a", LENGTH, "x: b", "X: "),
    "control characters": response(LENGTH, "X: a\x01\x0b\x0c\x1c\x85b"),
    "close": response(LENGTH, "Connection: close"),
    "close among others": response(LENGTH, "Connection: keep-alive , CLOSE"),
    "closed": response(LENGTH, "Connection: closed"),
    "more than the body": response(LENGTH, body=b"ok!"),
    "incomplete": response("Content-Length: 5"),
    "101 lines": response(*["X: a"] * (MAX_HEADER_LINES - 1), LENGTH),
    "after a 1xx": b"HTTP/1.1 102 Processing\r\nX: a\r\n\r\n" + response(LENGTH),
    "598": response(LENGTH, line="HTTP/1.1 598 Timeout"),
}

OTHERS = {
    "HTTP/1.0": response(LENGTH, line="HTTP/1.0 200 OK"),
    "HTTP/1.0 keep-alive": response(LENGTH, "Keep-Alive: 5", line="HTTP/1.0 200 OK"),
    "204": response(line="HTTP/1.1 204 No Content", body=b""),
    "304": response(LENGTH, line="HTTP/1.1 304 Not Modified", body=b""),
    "101": response(line="HTTP/1.1 101 Switching Protocols"),
    "600": response(LENGTH, line="HTTP/1.1 600 What"),
    "two digits": response(LENGTH, line="HTTP/1.1 20 OK"),
    "four digits": response(LENGTH, line="HTTP/1.1 2000 OK"),
    "lower case": response(LENGTH, line="http/1.1 200 OK"),
    "tab after the status": response(LENGTH, line="HTTP/1.1 200\tOK"),
    "no length": response("X: a"),
    "no headers": response(),
    "two lengths": response(LENGTH, LENGTH),
    "different lengths": response(LENGTH, "Content-Length: 3"),
    "list of lengths": response("Content-Length: 2, 2"),
    "negative length": response("Content-Length: -1"),
    "signed length": response("Content-Length: +2"),
    "empty length": response("Content-Length:"),
    "long length": response("Content-Length: " + "0" * 18 + "2"),
    "superscript length": response("Content-Length: \u00b2"),
    "length and coding": response(LENGTH, CHUNKED, body=ONE_CHUNK),
    "identity": response(LENGTH, "Transfer-Encoding: identity"),
    "chunked twice": response(CHUNKED, CHUNKED, body=ONE_CHUNK),
    "gzip and chunked": response("Transfer-Encoding: gzip, chunked", body=ONE_CHUNK),
    "folded": response(LENGTH, "X: a", " b"),
    "folded first line": response(" X: a", LENGTH),
    "bare line feeds": response(LENGTH).replace(b"\r\n", b"\n"),
    "one bare line feed": response(LENGTH, "X: a\nY: b"),
    "carriage return in a value": response(LENGTH, "X: a\rb"),
    "two carriage returns": response(LENGTH, "X: a\r"),
    "NUL in a value": response(LENGTH, "X: a\0b"),
    "NUL in the reason": response(LENGTH, line="HTTP/1.1 200 O\0K"),
    "carriage return in the reason": response(LENGTH, line="HTTP/1.1 200 O\rK"),
    "space in a name": response(LENGTH, "X Y: a"),
    "space before the colon": response("Content-Length : 2"),
    "latin-1 name": response(LENGTH, "\u00c4: a"),
    "no name": response(LENGTH, ": a"),
    "no colon": response(LENGTH, "X"),
    "too many lines": response(*["X: a"] * MAX_HEADER_LINES, LENGTH),
    "no empty line": response(LENGTH, body=b"").removesuffix(b"\r\n"),
    "empty line first": b"\r\n" + response(LENGTH),
    "nothing": b"",
    "line longer than a read": response("X: " + "a" * 70_000, LENGTH),
}


@pytest.mark.parametrize("data", ORDINARY.values(), ids=ORDINARY)
def test_an_ordinary_head(data: bytes) -> None:
    """It is parsed in one pass, and the result is the same."""
    start = data.index(b"\r\n\r\n") + 4 if data.startswith(b"HTTP/1.1 1") else 0
    assert parse_ordinary_head(data, start)
    assert_same(data)


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_another_head(data: bytes) -> None:
    """It is parsed line by line."""
    assert parse_ordinary_head(data[:INITIAL_RECEIVE_BYTES], 0) is None
    assert_same(data)


@pytest.mark.parametrize("data", [*ORDINARY.values(), *OTHERS.values()], ids=[*ORDINARY, *OTHERS])
def test_the_response_to_head_has_no_body(data: bytes) -> None:
    """Whatever its headers say."""
    assert_same(data, "HEAD")


@given(data=messages, method=st.sampled_from(["GET", "POST", "HEAD"]))
def test_any_response(data: bytes, method: str) -> None:
    """Valid ones, and ones with mistakes."""
    assert_same(data, method)


FRAGMENTS = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b"2", b"\xff", b"X: a\r\n", b"close"]
)


@given(
    data=st.sampled_from([*ORDINARY.values(), *OTHERS.values()]).filter(lambda d: len(d) < 1000),
    edits=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 3), FRAGMENTS), max_size=3),
)
def test_any_mistake(data: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    """In the places that matter."""
    for index, removed, inserted in edits:
        data = data[:index] + inserted + data[index + removed :]
    assert_same(data)
