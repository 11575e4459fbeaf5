"""Consumers of a response's body, and the memory that all bodies share."""

import threading
from typing import Protocol

from probe.http.errors import BodyTooLarge, ProbeError
from probe.http.stopwatch import Timestamp

# Bytes that are stored separately for the excerpt, also if the body is incomplete.
START_BYTES = 1024

# Bytes at the end that are stored separately, for the excerpt of a stream.
END_BYTES = 512

# Bytes of all bodies that are being received or evaluated. If four bodies of `max_bytes` are more,
# that is the limit. Of each body, UNCOUNTED_BYTES do not count, so that large bodies of one
# endpoint do not affect the probes of usual ones.
MAX_HELD_BYTES = 8 * 1024 * 1024
MAX_HELD_LARGEST_BODIES = 4
UNCOUNTED_BYTES = 32 * 1024


class BodyMemoryExceeded(ProbeError):
    """All bodies together need more memory than the daemon may use."""


class BodyMemory:
    """Counts the bytes of the bodies that all runs hold, and limits them."""

    def __init__(self, max_bytes: int = MAX_HELD_BYTES) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._lock = threading.Lock()

    def reserve(self, size: int, max_body_bytes: int) -> None:
        """Count `size` bytes more of a body that may have up to `max_body_bytes`.

        Raises BodyMemoryExceeded if the limit is exceeded.
        """
        limit = max(self._max_bytes, MAX_HELD_LARGEST_BODIES * max_body_bytes)
        with self._lock:
            if self._held_bytes + size > limit:
                raise BodyMemoryExceeded(
                    f"the bodies of all responses that are received or evaluated exceed"
                    f" {limit / 1024**2:g} MiB; lower max_bytes, or probe less often"
                )
            self._held_bytes += size

    def release(self, size: int) -> None:
        """Stop counting `size` bytes."""
        with self._lock:
            self._held_bytes -= size


class BodyConsumer(Protocol):
    """Receives the body of one response, as sent by the server, while it arrives."""

    def feed(self, data: bytes, received: Timestamp) -> None:
        """Process the next bytes, which arrived at `received`. An exception ends the run."""


class ResponseBody:
    """Counts the bytes of a body, and stores them if they are needed, up to `max_bytes`."""

    def __init__(
        self, max_bytes: int, memory: BodyMemory | None, *, keeps_content: bool = True
    ) -> None:
        """Store the content in `memory`. None: only its start and end are needed.

        Without `keeps_content`, only the memory is reserved: another consumer needs it.
        """
        self._keeps_content = keeps_content
        self._max_bytes = max_bytes
        self._memory = memory
        self._reserved_bytes = 0
        self.size = 0
        self.start = b""
        """The first `START_BYTES` bytes."""
        self.end = b""
        """The last `END_BYTES` bytes."""
        self.content = bytearray()

    def feed(self, data: bytes, received: Timestamp) -> None:  # noqa: ARG002  (the protocol's)
        """Store `data`. Raises BodyTooLarge and BodyMemoryExceeded."""
        self.size += len(data)
        if len(self.start) < START_BYTES:
            self.start = (self.start + data[:START_BYTES])[:START_BYTES]
        self.end = (self.end + data[-END_BYTES:])[-END_BYTES:]
        if self.size > self._max_bytes:
            raise BodyTooLarge(f"the body is larger than {self._max_bytes} bytes (`max_bytes`)")
        if self._memory is None:
            return
        if excess := max(0, self.size - UNCOUNTED_BYTES) - self._reserved_bytes:
            self._memory.reserve(excess, self._max_bytes)
            self._reserved_bytes += excess
        if self._keeps_content:
            self.content += data

    def discard(self) -> None:
        """Release the content."""
        self.content = bytearray()
        if self._memory and self._reserved_bytes:
            self._memory.release(self._reserved_bytes)
            self._reserved_bytes = 0
