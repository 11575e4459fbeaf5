"""The bytes of one answer, and when the first and the last of them arrived."""

import io
import math
from http.client import HTTPException
from typing import Protocol

from probe.http.timed_socket import TimedSocket
from probe.http.timing import Stopwatch
from probe.result import Phase

MAX_HEADER_BYTES = 256 * 1024
"""Bytes that an answer may spend on headers, those of informational answers among them: parsers
and judges work on them in one go, and keep the interpreter from whoever measures.
"""


class Stream(Protocol):
    """What an inbox reads from: a timed socket, or a TLS layer over one."""

    def sendall(self, data: bytes) -> None: ...

    def recv_into(self, buffer: memoryview) -> int: ...


class ResponseReader(io.RawIOBase):
    """Reads an answer from a stream whose bytes pass a timed socket.

    The first byte begins the phase `receive`. It is told apart here, before any parsing, so that
    a server that drips its headers is seen to drip, and not to think.
    """

    def __init__(self, stream: Stream, timed: TimedSocket, watch: Stopwatch | None) -> None:
        """Without a watch no phase begins: the answer of a proxy is part of another one."""
        self._stream = stream
        self._timed = timed
        self._watch = watch
        self._received = 0
        self._most: float = math.inf
        self._awaited = False
        self.ended = False
        """Whether the server has closed its side of the connection."""

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What `http.client.HTTPResponse` asks of a socket."""
        return io.BufferedReader(self)

    def begin_headers(self) -> None:
        """What comes now are headers, or trailers: there is a cap on them."""
        self._most = self._received + MAX_HEADER_BYTES

    def end_headers(self) -> None:
        """What comes now is body, which whoever reads it has a cap on."""
        self._most = math.inf

    def await_answer(self, position: int) -> None:
        """The byte at `position` is the first of what may be the answer."""
        self._awaited = position == self._received
        if not self._awaited:
            self._first_byte()  # it came together with what went before

    def interim(self) -> None:
        """It was not: what has been received since belongs to the wait."""
        if self._watch:
            self._watch.relabel_phase(Phase.WAIT)

    def _first_byte(self) -> None:
        self._awaited = False
        if self._watch:
            self._watch.start_phase(Phase.RECEIVE, at=self._timed.last_received)
            self._watch.merged_reads += self._timed.merged

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        """Bytes received; the buffered reader above subtracts what it has not given out."""
        return self._received

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as BufferedReader
        if self._received >= self._most:
            raise HTTPException(f"the headers are larger than {MAX_HEADER_BYTES // 1024} KiB")
        count = self._stream.recv_into(buffer)
        self._received += count
        self.ended = count == 0
        if self._awaited and count:
            self._first_byte()
        return count
