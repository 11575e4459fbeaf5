"""The answer of a server, read by the standard library's parser, with two of its gaps closed."""

from http.client import HTTPResponse, parse_headers
from io import BufferedReader

from probe.measure.stopwatch import Inbox


class Answer(HTTPResponse):
    """The final answer: informational ones (1xx) before it are skipped, all of them.

    http.client skips 100 alone, and reads a chunk of negative size to the end of the connection.
    """

    fp: BufferedReader

    def __init__(self, inbox: Inbox, method: str) -> None:
        super().__init__(inbox, method=method)  # type: ignore[arg-type]  # it needs makefile only
        self._inbox = inbox

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
