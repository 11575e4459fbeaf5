"""The data of many chunks is returned at once, with the strictness of single chunks."""

from dataclasses import dataclass

import pytest

from probe.clock import Clock
from probe.http.errors import ResponseError
from probe.http.response_reader import RECEIVE_BYTES, ResponseReader
from probe.http.stopwatch import Stopwatch
from probe.http.timed_socket import TimedSocket

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass
class FakeStream:
    """Stream of `content`, of which each call receives at most `segment_bytes`."""

    content: bytes
    segment_bytes: int = RECEIVE_BYTES

    def sendall(self, data: bytes) -> None:
        raise NotImplementedError

    def recv(self, size: int, /) -> bytes:
        segment = self.content[: min(self.segment_bytes, size)]
        self.content = self.content[len(segment) :]
        return segment


def read_pieces(stream: FakeStream) -> tuple[list[bytes], str | None]:
    """Return what each `read` of a body returns, and the message of its error."""
    with TimedSocket() as sock:
        sock.stopwatch = Stopwatch(Clock(), 1)
        reader = ResponseReader(stream, sock, stopwatch=None)
        reader.read_head("GET")
        pieces = []
        try:
            while data := reader.read(RECEIVE_BYTES):
                pieces.append(data)
        except ResponseError as error:
            return pieces, str(error)
        return pieces, None


def chunked(size: int, count: int) -> bytes:
    return b"%x\r\n%s\r\n" % (size, b"x" * size) * count


@pytest.mark.parametrize("size", [12, 20, 64, 300])
def test_small_chunks_are_read_together(size: int) -> None:
    """A body of 1 MiB takes some reads for each 64 KiB, and not one for each chunk."""
    count = 2**20 // size
    body = chunked(size, count)

    pieces, error = read_pieces(FakeStream(HEAD + body + b"0\r\n\r\n"))

    assert error is None
    assert b"".join(pieces) == b"x" * size * count
    assert len(pieces) <= 3 * (len(body) // RECEIVE_BYTES + 1)
    assert max(map(len, pieces)) <= RECEIVE_BYTES


BODIES = {
    "two sizes": b"1\r\na\r\n002\r\nbc\r\n0\r\n\r\n",
    "spaces and bare line ends": b"1 \t\r\na\r\n2\nbc\n3 \ndef\r\n0\r\n\r\n",
    "many spaces": b"1\r\na\r\n1" + b" " * 100 + b"\r\nb\r\n0\r\n\r\n",
    "line end before the first chunk": b"\r\n1\r\na\r\n0\r\n\r\n",
    "extensions": b"1;x\r\na\r\n1;y=z\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
    "line ends in the data": b"4\r\n\r\n1\r\r\n3\r\n\n\r\n\r\n1\r\n\n\r\n0\r\n\r\n",
    "trailers": b"1\r\na\r\n1\r\nb\r\n0\r\nX: y\r\n\r\n",
    "too long": b"1\r\na\r\n1\r\nbc\r\n0\r\n\r\n",
    "sign": b"1\r\na\r\n+1\r\nb\r\n0\r\n\r\n",
    "prefix": b"1\r\na\r\n0x1\r\nb\r\n0\r\n\r\n",
    "underscore": b"1\r\na\r\n1_0\r\nbbbbbbbbbbbbbbbb\r\n0\r\n\r\n",
    "space before the size": b"1\r\na\r\n 1\r\nb\r\n0\r\n\r\n",
    "carriage return after the size": b"1\r\na\r\n1\r\r\nb\r\n0\r\n\r\n",
    "carriage return as line end": b"1\r\na\r\n1\rb\r\n0\r\n\r\n",
    "seventeen digits": b"1\r\na\r\n00000000000000001\r\nb\r\n0\r\n\r\n",
    "huge size": b"1\r\na\r\nffffffffffffffff\r\nb\r\n0\r\n\r\n",
    "end inside of the data": b"1\r\na\r\n5\r\nbc",
    "end before a size": b"1\r\na\r\n1\r\nb\r\n",
    "much framing": chunked(1, 20_000),
    "framing above the limit before a large chunk": chunked(1, 14_600) + chunked(60_000, 1),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_chunks_together_are_parsed_like_single_chunks(body: bytes) -> None:
    """Bytes that arrive one by one are never parsed together. Data and error are the same."""
    pieces, error = read_pieces(FakeStream(HEAD + body))
    single_pieces, single_error = read_pieces(FakeStream(HEAD + body, segment_bytes=1))

    assert error == single_error
    assert b"".join(pieces) == b"".join(single_pieces)


@pytest.mark.parametrize("body", [body for body in BODIES.values() if len(body) < 200])
def test_chunks_do_not_depend_on_reads(body: bytes) -> None:
    """The reads end at all places, also after a chunk, so that the next one begins with a chunk."""
    single_pieces, single_error = read_pieces(FakeStream(HEAD + body, segment_bytes=1))

    for segment_bytes in range(2, len(HEAD) + len(body)):
        pieces, error = read_pieces(FakeStream(HEAD + body, segment_bytes))
        assert error == single_error
        assert b"".join(pieces) == b"".join(single_pieces)
