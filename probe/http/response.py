"""The answer of a server, read by the standard library's parser, with its gaps closed."""

import re
from email import errors
from http.client import HTTPException, HTTPResponse, IncompleteRead, parse_headers
from io import BufferedReader

from probe.http.response_reader import ResponseReader

MAX_INFORMATIONAL_RESPONSES = 100
"""Informational answers before the final one. `102 Processing` every second is as fast as servers
say it, and a minute of that must do no harm.
"""

MAX_CHUNK_LINE_BYTES = 64 * 1024
"""Bytes of a line that says the size of a chunk: http.client's own limit."""

_LENGTH = re.compile("[0-9]{1,18}")  # an exabyte, and int() refuses thousands of digits
_CHUNK = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;.*)?\r?\n")
_NO_HEADER = (
    errors.FirstHeaderLineIsContinuationDefect,
    errors.InvalidHeaderDefect,
    errors.MisplacedEnvelopeHeaderDefect,
    errors.MissingHeaderBodySeparatorDefect,
)
"""The parser's other complaints are of a body in several parts, which it is not shown."""


def strip_header_value(value: str) -> str:
    """A header's value without the blanks around it (RFC 9110, 5.5)."""
    return value.strip(" \t")


class StrictHTTPResponse(HTTPResponse):
    """The final answer: informational ones (1xx) before it are skipped, all of them.

    http.client takes headers of 6 MB, skips 100 alone, drops all headers after a line that is none,
    takes the end of the connection for that of the headers and what Python takes for a number for
    the size of a chunk, ignores a length that is none and a coding that it does not know, awaits
    chunks where there is no body, and none where a blank follows `chunked`.
    """

    fp: BufferedReader

    def __init__(self, inbox: ResponseReader, method: str) -> None:
        super().__init__(inbox, method=method)  # type: ignore[arg-type]  # it needs makefile only
        self._inbox = inbox

    def begin(self) -> None:
        self._inbox.begin_headers()
        super().begin()
        self._inbox.end_headers()
        if self._inbox.ended:
            raise HTTPException("the connection was closed before the end of the headers")
        if any(isinstance(defect, _NO_HEADER) for defect in self.headers.defects):
            raise HTTPException("a line of the headers is not a name, a colon and a value")
        self._frame()

    def _frame(self) -> None:
        """Find out where the body ends (RFC 9112, 6.3)."""
        lengths = self._values("Content-Length")
        if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            raise HTTPException(f"Content-Length is {' and '.join(sorted(lengths))}")
        codings = self._values("Transfer-Encoding") - {"identity"}  # of RFC 2616: it is none
        if self._is_bodiless():
            self.chunked = False
        elif codings:
            if codings != {"chunked"}:
                coding = " and ".join(sorted(codings))
                raise HTTPException(f"Transfer-Encoding is {coding!r}, which nobody asked for")
            self.chunked, self.chunk_left, self.length = True, None, None
            self.will_close = self._check_close()  # type: ignore[attr-defined]

    def _is_bodiless(self) -> bool:
        """Whether there is no body, whatever the headers say."""
        head = self._method == "HEAD"  # type: ignore[attr-defined]
        return head or self.status < 200 or self.status in (204, 304)

    def _values(self, name: str) -> set[str]:
        """What a header says, in lower case."""
        return {strip_header_value(value).lower() for value in self.headers.get_all(name, ())}

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INFORMATIONAL_RESPONSES + 1):
            self._inbox.await_answer(self.fp.tell())
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == 101:
                return version, status, reason
            parse_headers(self.fp)
            self._inbox.interim()
        raise HTTPException(f"more than {MAX_INFORMATIONAL_RESPONSES} informational answers (1xx)")

    def _read_next_chunk_size(self) -> int:
        line = self.fp.readline(MAX_CHUNK_LINE_BYTES)
        size = _CHUNK.fullmatch(line)
        if size:
            return int(size[1], 16)
        if line:
            raise HTTPException("the size of a chunk is not a hexadecimal number")
        raise IncompleteRead(b"")

    def _read_and_discard_trailer(self) -> None:
        self._inbox.begin_headers()
        super()._read_and_discard_trailer()  # type: ignore[misc]
