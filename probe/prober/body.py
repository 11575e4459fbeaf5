"""Consumers of a response's body."""

from typing import Protocol

from probe.http.errors import BodyTooLarge
from probe.http.stopwatch import Timestamp

# Bytes that are stored separately for the excerpt, also if the body is incomplete.
START_BYTES = 1024


class BodyConsumer(Protocol):
    """Receives the body of one response, as sent by the server, while it arrives."""

    def feed(self, data: bytes, received: Timestamp) -> None:
        """Process the next bytes, which arrived at `received`. An exception ends the run."""


class CompleteBody:
    """Stores the whole body, up to `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._chunks: list[bytes] = []
        self.size = 0
        self.start = b""
        """The first `START_BYTES` bytes."""

    def feed(self, data: bytes, received: Timestamp) -> None:  # noqa: ARG002  (the protocol's)
        """Store `data`. Raises BodyTooLarge."""
        self._chunks.append(data)
        self.size += len(data)
        if len(self.start) < START_BYTES:
            self.start = (self.start + data[:START_BYTES])[:START_BYTES]
        if self.size > self._max_bytes:
            raise BodyTooLarge(f"the body is larger than {self._max_bytes} bytes (`max_bytes`)")

    def content(self) -> bytes:
        """Return the whole body."""
        return b"".join(self._chunks)
