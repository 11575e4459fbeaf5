"""The answer of a server, read by the standard library's parser, with its gaps closed."""

from http.client import HTTPException, HTTPResponse, parse_headers
from io import BufferedReader

from probe.measure.inbox import Inbox


class Answer(HTTPResponse):
    """The final answer: informational ones (1xx) before it are skipped, all of them.

    http.client skips 100 alone, reads a chunk of negative size to the end of the connection, takes
    the end of the connection for that of the headers, ignores a length that is none, and awaits
    chunks where there is no body.
    """

    fp: BufferedReader

    def __init__(self, inbox: Inbox, method: str) -> None:
        super().__init__(inbox, method=method)  # type: ignore[arg-type]  # it needs makefile only
        self._inbox = inbox

    def begin(self) -> None:
        super().begin()
        if self._inbox.ended:
            raise HTTPException("the connection was closed before the end of the headers")
        lengths = {length.strip() for length in self.headers.get_all("Content-Length", ())}
        if len(lengths) > 1 or not all(length.isdecimal() for length in lengths):
            raise HTTPException(f"Content-Length is {' and '.join(sorted(lengths))}")
        if self.length == 0:  # 204 and 304 have no body, whatever their headers say
            self.chunked = False

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            self._inbox.await_answer(self.fp.tell())
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == 101:
                return version, status, reason
            parse_headers(self.fp)
            self._inbox.interim()

    def _read_next_chunk_size(self) -> int:
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise ValueError("a chunk of negative size")
        return size
