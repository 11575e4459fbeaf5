"""Parser of AWS event streams (`application/vnd.amazon.eventstream`), of Bedrock and SageMaker.

A frame consists of the prelude (bytes of the frame, bytes of the headers, and CRC32 of both
numbers), the headers, the payload, and the CRC32 of all before.
Source: https://smithy.io/2.0/aws/amazon-eventstream.html
"""

import zlib
from collections.abc import Iterator

from probe.http.stopwatch import Timestamp
from probe.http.stream import (
    MAX_EVENT_BYTES,
    EventBuilder,
    SseParser,
    StreamError,
    StreamEvent,
)

# The limit of the format. Its limit of the payload, 24 MiB, is above MAX_EVENT_BYTES.
MAX_HEADERS_BYTES = 128 * 1024

_NUMBER_BYTES = 4
_PRELUDE_BYTES = 3 * _NUMBER_BYTES
_MIN_FRAME_BYTES = _PRELUDE_BYTES + _NUMBER_BYTES

# Bytes of a header's value by its type: true, false, byte, short, integer, long, timestamp, UUID.
_VALUE_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
# Types whose value has its length before it.
_BYTE_ARRAY = 6
_STRING = 7

# The header with the type of an event by `:message-type`.
_TYPE_HEADERS = {"exception": ":exception-type", "error": ":error-code"}


class AwsEventStreamParser:
    """Parses the frames of an AWS event stream. An incomplete last frame is discarded."""

    def __init__(self) -> None:
        self._events = EventBuilder()
        self._buffer = bytearray()
        # Bytes of the current frame and of its headers. None until its prelude is complete.
        self._frame_bytes: int | None = None
        self._headers_bytes = 0

    @property
    def has_partial_event(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return bool(self._buffer)

    def feed(self, data: bytes, received: Timestamp) -> Iterator[StreamEvent]:
        """Yield the events whose frames `data` completes. Raises StreamError."""
        if not data:
            return
        self._events.received = received
        self._buffer += data
        while True:
            if self._frame_bytes is None:
                if len(self._buffer) < _PRELUDE_BYTES:
                    return
                # Checked before the frame is complete: a wrong length may be huge.
                self._parse_prelude()
            elif len(self._buffer) < self._frame_bytes:
                return
            else:
                frame = bytes(self._buffer[: self._frame_bytes])
                # Does not move the bytes behind: CPython only changes the buffer's start.
                del self._buffer[: self._frame_bytes]
                self._frame_bytes = None
                yield self._parse_frame(frame)

    def close(self) -> list[StreamEvent]:
        """Return nothing: the end of the stream completes no frame."""
        return []

    def _parse_prelude(self) -> None:
        """Read the lengths of the current frame, and check them."""
        prelude = bytes(self._buffer[:_PRELUDE_BYTES])
        _check_crc(prelude, "the lengths of a frame")
        frame_bytes = int.from_bytes(prelude[:_NUMBER_BYTES])
        headers_bytes = int.from_bytes(prelude[_NUMBER_BYTES : 2 * _NUMBER_BYTES])
        if frame_bytes > MAX_EVENT_BYTES:
            raise StreamError(f"an event of the stream has more than {MAX_EVENT_BYTES} bytes")
        if headers_bytes > MAX_HEADERS_BYTES:
            raise StreamError(f"the headers of a frame have more than {MAX_HEADERS_BYTES} bytes")
        if _MIN_FRAME_BYTES + headers_bytes > frame_bytes:
            raise StreamError("a frame of the stream is shorter than its headers")
        self._frame_bytes, self._headers_bytes = frame_bytes, headers_bytes

    def _parse_frame(self, frame: bytes) -> StreamEvent:
        """Return the event in a complete frame."""
        _check_crc(frame, "a frame")
        headers_end = _PRELUDE_BYTES + self._headers_bytes
        headers = _parse_headers(frame[_PRELUDE_BYTES:headers_end])
        message_type = headers.get(":message-type", "event")
        return self._events.build(
            frame[headers_end:-_NUMBER_BYTES],
            headers.get(_TYPE_HEADERS.get(message_type, ":event-type"), ""),
            is_error=message_type in _TYPE_HEADERS,
        )


class AwsSseParser:
    """Parses server-sent events in the payloads of frames, which divide them anywhere."""

    def __init__(self) -> None:
        self._frames = AwsEventStreamParser()
        self._events = SseParser()

    @property
    def has_partial_event(self) -> bool:
        """Whether a frame or an event has begun and is not complete."""
        return self._frames.has_partial_event or self._events.has_partial_event

    def feed(self, data: bytes, received: Timestamp) -> Iterator[StreamEvent]:
        """Yield the events that `data` completes, and frames with errors. Raises StreamError."""
        for frame in self._frames.feed(data, received):
            if frame.is_error:
                yield frame
            else:
                yield from self._events.feed(frame.data, received)

    def close(self) -> list[StreamEvent]:
        """Return the events that the end of the stream completes."""
        return self._events.close()


def _check_crc(data: bytes, description: str) -> None:
    """Raise StreamError if `data` does not end with the CRC32 of the bytes before."""
    if zlib.crc32(data[:-_NUMBER_BYTES]) != int.from_bytes(data[-_NUMBER_BYTES:]):
        raise StreamError(
            f"the checksum of {description} is wrong: this is no AWS event stream, or it was"
            " changed on its way"
        )


def _parse_headers(headers: bytes) -> dict[str, str]:
    """Return the headers that are strings, by name. Raises StreamError."""
    reader = _HeaderReader(headers)
    strings = {}
    while reader.has_more:
        name = reader.take(reader.number(1))
        value_type = reader.number(1)
        if value_type in _VALUE_BYTES:
            reader.take(_VALUE_BYTES[value_type])
        elif value_type in (_BYTE_ARRAY, _STRING):
            value = reader.take(reader.number(2))
            if value_type == _STRING:
                strings[name.decode(errors="replace")] = value.decode(errors="replace")
        else:
            raise StreamError(f"a header of a frame has the unknown type {value_type}")
    return strings


class _HeaderReader:
    """Reads numbers and bytes from the headers of a frame."""

    def __init__(self, headers: bytes) -> None:
        self._headers = headers
        self._position = 0

    @property
    def has_more(self) -> bool:
        """Whether there are bytes left."""
        return self._position < len(self._headers)

    def number(self, size: int) -> int:
        """Return the next `size` bytes as an unsigned number."""
        return int.from_bytes(self.take(size))

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        end = self._position + size
        if end > len(self._headers):
            raise StreamError("the last header of a frame is incomplete")
        value = self._headers[self._position : end]
        self._position = end
        return value
