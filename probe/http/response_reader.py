"""HTTP/1 response parser on top of a timed socket.

It is stricter than http.client: limits on headers, on informational responses and on the framing of
chunks, no invalid status or header lines, lengths or chunk sizes. And it accepts responses that h11
rejects and other clients accept: `Transfer-Encoding: identity`, any Transfer-Encoding of a response
without a body, and chunk sizes before a space or a bare LF.
"""

import re
from collections.abc import Mapping
from typing import Protocol

from probe.http.chunk_limits import (
    FRAMING_SHARE_OF_DATA,
    LINE_ENDS_BYTES,
    MAX_FRAMING_BYTES,
    ChunkLimits,
)
from probe.http.errors import BodyIncomplete, EarlyResponse, NotHttp, ResponseError
from probe.http.response_head import (
    CONTENT_LENGTH,
    MAX_HEADER_LINES,
    STATUSES_WITHOUT_BODY,
    ResponseHead,
    parse_ordinary_head,
)
from probe.http.stopwatch import Stopwatch
from probe.http.timed_socket import TimedSocket
from probe.result import Phase

# All headers of a response, including those of informational responses before it. Parsers and
# assertions process headers at once and hold the interpreter lock.
MAX_RESPONSE_HEADER_BYTES = 256 * 1024

# A status line, a header, or the line with the size of a chunk.
MAX_LINE_BYTES = 64 * 1024

# Informational responses (1xx) before the final one: `102 Processing` for more than a minute, at
# one per second, which is as often as servers send it.
MAX_INFORMATIONAL_RESPONSES = 100

# Size of a read. Most responses fit into the initial size. A full read is followed by larger ones.
INITIAL_RECEIVE_BYTES = 8 * 1024
RECEIVE_BYTES = 64 * 1024

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([^\r\0]*))?")
_HEADER = re.compile(rb"([\x21-\x39\x3b-\x7e]+):([^\r\0]*)")
_FOLDED_LINE = re.compile(rb"[ \t][^\r\0]*")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(;.*)?")

# The end of a chunk, and the line with the size of the next one without extensions. A line with
# more spaces is parsed like one with extensions: line by line, which takes longer.
_NEXT_CHUNK = re.compile(rb"\r?\n([0-9A-Fa-f]{1,16}[ \t]{0,64})\r?\n")

# Values by name in lower case.
_Headers = dict[str, list[str]]


class Stream(Protocol):
    """Stream of a connection: a timed socket, or TLS on top of one."""

    def sendall(self, data: bytes) -> None: ...

    def recv(self, size: int, /) -> bytes:
        """Return up to `size` bytes as soon as some arrive, and nothing at the end."""


class ResponseReader:
    """Reads one response from `stream`, which is the socket `sock` or TLS on top of it.

    The arrival of the first byte begins the phase `receive`. It is detected before parsing, so a
    server that sends its headers slowly is in `receive` and not in `wait`. If the bytes turn out to
    be an informational response, they belong to `wait`.
    """

    def __init__(self, stream: Stream, sock: TimedSocket, stopwatch: Stopwatch | None) -> None:
        """Without a stopwatch no phase begins: the response of a proxy is part of `connect`."""
        self._stream = stream
        self._sock = sock
        self._stopwatch = stopwatch
        self._awaiting_first_byte = False
        self._receive_bytes = INITIAL_RECEIVE_BYTES
        # `_buffer` from `_position` on is received and not yet consumed.
        self._buffer = b""
        self._position = 0
        self._ended = False
        # Bytes that may still be received before the end of the headers. None in the body.
        self._header_bytes_left: int | None = None
        # Bytes of the body, or of the current chunk, that are not consumed yet. None if the end of
        # the connection is the end of the body.
        self._body_bytes_left: int | None = 0
        self._chunked = False
        self._is_first_chunk = True
        self._chunk_limits = ChunkLimits()
        self._is_early = False
        # Until the headers say that the server keeps the connection open.
        self._will_close = True

    @property
    def is_connection_reusable(self) -> bool:
        """Whether the connection can be used for another request, once the response is read.

        It cannot if the server will close it, or has sent more than the response. If the server
        responded before it had received the whole request, it may respond once more.
        """
        has_unread_data = self._position < len(self._buffer)
        return not (self._will_close or has_unread_data or self._is_early)

    def read_head(self, method: str) -> ResponseHead:
        """Return the head of the final response to a request with `method`.

        Raises ConnectionResetError if the connection ends without a response, ResponseError if the
        response is invalid, and the exceptions of the stream.
        """
        self._header_bytes_left = MAX_RESPONSE_HEADER_BYTES
        for _ in range(MAX_INFORMATIONAL_RESPONSES + 1):
            self._await_first_byte()
            if head := self._take_ordinary_head(method):
                return head
            minor_version, status, reason = self._read_status_line()
            headers = self._read_headers()
            if 100 <= status < 200 and status != 101:
                self._discard_informational()
                continue
            self._header_bytes_left = None
            self._set_body_length(method, status, headers)
            joined = {name: ", ".join(values) for name, values in headers.items()}
            self._will_close = self._body_bytes_left is None or not _is_keep_alive(
                minor_version, joined
            )
            return ResponseHead(status=status, reason=reason, headers=joined)
        raise ResponseError(
            f"more than {MAX_INFORMATIONAL_RESPONSES} informational responses (1xx)"
        )

    def read(self, max_bytes: int) -> bytes:
        """Return the next bytes of the body as soon as some arrive; empty at its end.

        These may be the data of many chunks. Raises ResponseError if the connection ends before
        the body does.
        """
        if self._chunked and self._body_bytes_left == 0:
            if data := self._take_next_chunks(max_bytes):
                return data
            self._begin_chunk()
        if self._body_bytes_left == 0:
            return b""
        if self._position == len(self._buffer) and not self._receive():
            if self._body_bytes_left is not None:
                raise BodyIncomplete
            return b""
        max_bytes_left = max_bytes
        if self._body_bytes_left is not None:
            max_bytes = min(max_bytes, self._body_bytes_left)
        data = self._buffer[self._position : self._position + max_bytes]
        self._position += len(data)
        if self._body_bytes_left is not None:
            self._body_bytes_left -= len(data)
        if self._chunked and self._body_bytes_left == 0:
            data += self._take_received_chunks(max_bytes_left - len(data))
        return data

    def _take_next_chunks(self, max_bytes: int) -> bytes:
        """Return the data of complete chunks in the next read; empty if `_begin_chunk` is needed.

        The end of the previous chunk is all that was received. A stream has a chunk for each token:
        to parse it line by line took twice as long.
        """
        if self._is_first_chunk or self._buffer[self._position :] != b"\r\n":
            return b""
        self._receive()
        return self._take_received_chunks(max_bytes)

    def _take_received_chunks(self, max_bytes: int) -> bytes:
        """Return the data of the next chunks that are received completely, up to `max_bytes`.

        One loop, because a server may send 100,000 chunks: method calls for each of them would
        take a second of CPU. It stops before the last chunk and before all that is invalid, has
        extensions or exceeds a limit, which `_begin_chunk` handles.
        """
        buffer, position = self._buffer, self._position
        framing_bytes = self._chunk_limits.framing_bytes
        max_end = min(len(buffer), position + max_bytes)
        pieces = []
        while match := _NEXT_CHUNK.match(buffer, position):
            line, start = match[1], match.end()
            size = int(line, 16)
            framing = framing_bytes + len(line) + LINE_ENDS_BYTES - size * FRAMING_SHARE_OF_DATA
            if not 0 < size <= max_end - start or framing > MAX_FRAMING_BYTES:
                break
            position = start + size
            framing_bytes = framing
            pieces.append(buffer[start:position])
        self._position = position
        self._chunk_limits.framing_bytes = framing_bytes
        return b"".join(pieces)

    def _await_first_byte(self) -> None:
        """Begin the phase `receive` with the next byte, which may be received already."""
        self._awaiting_first_byte = True
        if self._position < len(self._buffer):
            self._begin_receive_phase()
        else:
            self._receive()

    def _take_ordinary_head(self, method: str) -> ResponseHead | None:
        """Return the head of the final response if it is received and ordinary.

        Otherwise its bytes are not consumed. No line can exceed MAX_LINE_BYTES: what is received
        here is the rest of one read.
        """
        if method == "HEAD":
            return None
        ordinary = parse_ordinary_head(self._buffer, self._position)
        if ordinary is None:
            return None
        self._position = ordinary.end
        self._header_bytes_left = None
        self._chunked = ordinary.body_bytes is None
        self._body_bytes_left = ordinary.body_bytes or 0
        self._will_close = not _is_keep_alive(1, ordinary.head.headers)
        return ordinary.head

    def _begin_receive_phase(self) -> None:
        """Begin the phase `receive`. Raises ResponseError if the byte precedes the request."""
        self._awaiting_first_byte = False
        if self._stopwatch:
            sock, received = self._sock, self._sock.last_received
            if sock.first_sent and self._stopwatch.is_before(received, sock.first_sent):
                raise early_response_error(self._buffer[self._position :])
            self._is_early = self._stopwatch.is_before(received, sock.last_sent)
            self._stopwatch.start_phase(Phase.RECEIVE, at=received)
            self._stopwatch.merged_reads += sock.merged

    def _discard_informational(self) -> None:
        """Count the time since the first byte as `wait`: it was not the final response."""
        if self._stopwatch:
            self._stopwatch.relabel_phase(Phase.WAIT)

    def _read_status_line(self) -> tuple[int, int, str]:
        """Return the minor version, the status code and the reason phrase."""
        line = self._read_line()
        if not line and self._ended:
            raise ConnectionResetError("the server closed the connection without a response")
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise NotHttp(line)
        return int(match[1]), int(match[2]), (match[3] or b"").decode("latin-1")

    def _read_headers(self) -> _Headers:
        """Return the headers up to the empty line. Folded lines are joined (RFC 9112, 5.2)."""
        headers: _Headers = {}
        last: list[str] = []
        for _ in range(MAX_HEADER_LINES + 1):
            line = self._read_line()
            if self._ended:
                raise ResponseError("the connection was closed before the end of the headers")
            if not line:
                return headers
            if match := _HEADER.fullmatch(line):
                last = headers.setdefault(match[1].decode("ascii").lower(), [])
                last.append(_decode_value(match[2]))
            elif last and _FOLDED_LINE.fullmatch(line):
                last[-1] = f"{last[-1]} {_decode_value(line)}"
            else:
                raise ResponseError(
                    "a line of the headers is not a name, a colon and a value without CR and NUL"
                )
        raise ResponseError(f"more than {MAX_HEADER_LINES} lines of headers")

    def _set_body_length(self, method: str, status: int, headers: _Headers) -> None:
        """Find out where the body ends (RFC 9112, 6.3)."""
        lengths = set(headers.get("content-length", ()))
        if len(lengths) > 1 or not all(map(CONTENT_LENGTH.fullmatch, lengths)):
            raise ResponseError(f"Content-Length is {' and '.join(sorted(lengths))}")
        codings = [
            coding
            for coding in headers.get("transfer-encoding", ())
            if coding.lower() != "identity"  # RFC 2616: no coding
        ]
        if method == "HEAD" or status < 200 or status in STATUSES_WITHOUT_BODY:
            return
        if any(coding.lower() != "chunked" for coding in codings):
            # As sent: if it repeats a secret of the request, its case must be the same.
            coding = " and ".join(codings)
            raise ResponseError(f"Transfer-Encoding is {coding!r}, which is not supported")
        if codings:
            self._chunked = True
        else:
            self._body_bytes_left = int(lengths.pop()) if lengths else None

    def _begin_chunk(self) -> None:
        """Read the size of the next chunk, and the trailers after the last chunk."""
        if not self._is_first_chunk and (self._read_line() or self._ended):
            raise self._chunk_error("a chunk is longer than its size")
        self._is_first_chunk = False
        line = self._read_line()
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None or self._ended:
            raise self._chunk_error("the size of a chunk is not a hexadecimal number")
        size = self._body_bytes_left = int(match[1], 16)
        self._chunk_limits.add_chunk(
            line_bytes=len(line), extension_bytes=len(match[2] or b""), data_bytes=size
        )
        if size == 0:
            self._chunked = False
            self._skip_trailers()

    def _chunk_error(self, message: str) -> ResponseError:
        return BodyIncomplete() if self._ended else ResponseError(message)

    def _skip_trailers(self) -> None:
        """Read up to the empty line. Some servers close the connection instead of sending it."""
        while line := self._read_line():
            self._chunk_limits.add_trailer(line)

    def _read_line(self) -> bytes:
        """Return the next line without its end. At the end of the connection `_ended` is set."""
        search_from = self._position
        while (end := self._buffer.find(b"\n", search_from)) < 0:
            # `_receive` moves the unread bytes to index 0.
            search_from = len(self._buffer) - self._position
            if search_from > MAX_LINE_BYTES:
                end = len(self._buffer)
                break
            if self._ended or not self._receive():
                line = self._buffer[self._position :]
                self._position = len(self._buffer)
                return line
        if end - self._position > MAX_LINE_BYTES:
            raise ResponseError(f"a line is longer than {MAX_LINE_BYTES // 1024} KiB")
        line = self._buffer[self._position : end]
        self._position = end + 1
        return line.removesuffix(b"\r")

    def _receive(self) -> bool:
        """Receive more bytes. Return False at the end of the connection."""
        size = self._receive_bytes
        if self._header_bytes_left is not None:
            if self._header_bytes_left == 0:
                raise ResponseError(
                    f"the headers are larger than {MAX_RESPONSE_HEADER_BYTES // 1024} KiB"
                )
            size = min(size, self._header_bytes_left)
        data = self._stream.recv(size)
        if not data:
            self._ended = True
            return False
        if self._header_bytes_left is not None:
            self._header_bytes_left -= len(data)
        self._buffer = self._buffer[self._position :] + data
        self._position = 0
        if len(data) == INITIAL_RECEIVE_BYTES:
            self._receive_bytes = RECEIVE_BYTES
        if self._awaiting_first_byte:
            self._begin_receive_phase()
        return True


def early_response_error(data: bytes) -> ResponseError:
    """Return the error for `data`, the first bytes that arrived before the request.

    The first line of another protocol shows that the port is wrong: an SSH server sends it at once.
    """
    if b"HTTP/".startswith(data[:5]):
        return EarlyResponse()
    return NotHttp(data.split(b"\n", 1)[0].removesuffix(b"\r"))


def _is_keep_alive(minor_version: int, headers: Mapping[str, str]) -> bool:
    """Return True if the server keeps the connection open after the response."""
    connection = headers.get("connection", "").lower()
    if minor_version > 0:
        return "close" not in map(str.strip, connection.split(","))
    proxy_connection = headers.get("proxy-connection", "").lower()
    return "keep-alive" in headers or "keep-alive" in f"{connection}, {proxy_connection}"


def _decode_value(value: bytes) -> str:
    """Return the value of a header without the whitespace around it (RFC 9110, 5.5)."""
    return value.decode("latin-1").strip(" \t")
