"""Incremental parsers of event streams: server-sent events and newline-delimited JSON.

They process bytes as they arrive, remember the read that completed each event, and limit the memory
for an event. The content of the events is left to the caller.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from probe.http.errors import ProbeError
from probe.http.stopwatch import Timestamp

# Limit of one event, and of one line. Events of model servers have some hundred bytes, and at most
# some hundred KiB if they contain an image or log probabilities.
MAX_EVENT_BYTES = 1024 * 1024

# A complete server-sent event as model servers send it: maybe a type, and one line of data. It is
# parsed line by line if it begins differently, or if the line has a CR that is not in its end.
_ORDINARY_EVENT = re.compile(rb"(?:event: ?+([^\r\n]*+)\r?\n)?data: ?+(.*+)\n\r?\n")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class StreamError(ProbeError):
    """The stream is invalid, or one of its events is too large."""


class StreamEvent(NamedTuple):
    """One event of a stream."""

    data: bytes
    """The payload. For server-sent events, the `data` lines joined by LF."""
    type: str
    """The field `event` of server-sent events, or the type in the headers of an AWS frame."""
    is_error: bool
    """Whether the format itself marks the event as an error. An error in `data` does not count."""
    received: Timestamp
    """Time of the read that completed the event."""
    is_merged: bool
    """An earlier event was completed by the same read: the time between both is unknown."""


class EventParser(Protocol):
    """Finds the events in the bytes of one stream. Not thread-safe."""

    @property
    def has_partial_event(self) -> bool:
        """Whether an event has begun and is not complete; after `close`, whether it is lost."""

    def feed(self, data: bytes, received: Timestamp) -> Iterator[StreamEvent]:
        """Yield the events that `data` completes. Exhaust the iterator before the next call.

        Feeds with the same `received` are one read. Raises StreamError, after the events before
        the error. The parser cannot be used any more then.
        """

    def close(self) -> list[StreamEvent]:
        """Return the events that the end of the stream completes. Call it once."""


class EventBuilder:
    """Builds the events of one stream, with the time of the current read."""

    def __init__(self) -> None:
        self.received = Timestamp(0, 0)
        """Time of the current read."""
        self._last_completed: Timestamp | None = None

    def build(self, data: bytes, event_type: str = "", *, is_error: bool = False) -> StreamEvent:
        """Return an event that the current read completes."""
        is_merged = self._last_completed == self.received
        self._last_completed = self.received
        return StreamEvent(data, event_type, is_error, self.received, is_merged)


class _LineSplitter:
    """Splits a stream into lines that end with LF, and joins lines that arrive in parts."""

    def __init__(self) -> None:
        self.partial = bytearray()
        """Beginning of the line that is not complete."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines that `data` completes, without their ends.

        Only `data` is searched for line ends, because earlier bytes contain none.
        """
        lines = self._split(data)
        rest = lines.pop()
        for end in lines:
            line = self._take_partial() + end if self.partial else end
            self._check_size(line)
            yield line
        self.partial += rest
        self._check_size(self.partial)

    def close(self) -> bytes:
        """Return the line that the end of the stream completes; empty if there is none."""
        return self._take_partial()

    def _split(self, data: bytes) -> list[bytes]:
        """Return the parts of `data` between line ends. The last part has no end."""
        return data.split(b"\n")

    def _take_partial(self) -> bytes:
        partial, self.partial = bytes(self.partial), bytearray()
        return partial

    @staticmethod
    def _check_size(line: bytes | bytearray) -> None:
        if len(line) > MAX_EVENT_BYTES:
            raise StreamError(f"a line of the stream is longer than {MAX_EVENT_BYTES} bytes")


class _SseLineSplitter(_LineSplitter):
    """Splits a stream into lines that end with LF, CR or CRLF."""

    def __init__(self) -> None:
        super().__init__()
        self._ends_with_cr = False

    def _split(self, data: bytes) -> list[bytes]:
        # A CR ends the line at once. The LF of a CRLF may only arrive with the next event.
        if self._ends_with_cr:
            data = data.removeprefix(b"\n")
        self._ends_with_cr = data.endswith(b"\r")
        # Unlike `str.splitlines`, this splits at LF, CR and CRLF only.
        lines = data.splitlines()
        if not data or data.endswith((b"\n", b"\r")):
            lines.append(b"")
        return lines


class SseParser:
    """Parses server-sent events, as in "Interpreting an event stream" of the HTML standard.

    An event that the stream does not complete with an empty line is discarded. In addition, JSON
    whose first line has no field is an event with an error: some servers, e.g. Gemini, send
    errors without `data:`. It may have several lines, of which only the last begins with the
    closing bracket.
    """

    def __init__(self) -> None:
        self._events = EventBuilder()
        self._lines = _SseLineSplitter()
        self._is_first_line = True
        self._type = b""
        # The `data` lines of the current event, each with LF.
        self._data = bytearray()
        # The lines of JSON without `data:`, each with LF.
        self._json = bytearray()

    @property
    def has_partial_event(self) -> bool:
        """Whether fields, or the beginning of a line other than a comment, are incomplete."""
        line = self._without_byte_order_mark(bytes(self._lines.partial))
        return bool(self._data or self._type or self._json or (line and not line.startswith(b":")))

    def feed(self, data: bytes, received: Timestamp) -> Iterator[StreamEvent]:
        """Yield the events that `data` completes. Raises StreamError."""
        if not data:
            return
        self._events.received = received
        position = 0
        # Nearly all events are ordinary. Line by line, they took four times as long. If the last
        # line ended with a CR, its LF may follow: between events, it makes no difference.
        if self._is_between_events and len(data) <= MAX_EVENT_BYTES:
            while match := _ORDINARY_EVENT.match(data, position):
                event_type, line = match.groups(b"")
                payload = line.removesuffix(b"\r")
                if b"\r" in payload:
                    break
                position = match.end()
                self._is_first_line = False
                yield self._events.build(payload, _decode_type(event_type))
        if position < len(data):
            for line in self._lines.feed(data[position:]):
                if event := self._parse_line(line):
                    yield event

    @property
    def _is_between_events(self) -> bool:
        """Whether no event has begun, and no line either."""
        return not (self._data or self._type or self._json or self._lines.partial)

    def close(self) -> list[StreamEvent]:
        """Return an error as JSON whose last line has no end; discard all other fields."""
        line = self._without_byte_order_mark(bytes(self._lines.partial))
        if not self._json and not line.startswith((b"{", b"[")):
            return []
        self._lines.close()
        return [self._complete_json(line)]

    def _without_byte_order_mark(self, line: bytes) -> bytes:
        """Return `line`, without the byte order mark if it is the first line."""
        return line.removeprefix(_BYTE_ORDER_MARK) if self._is_first_line else line

    def _parse_line(self, line: bytes) -> StreamEvent | None:
        """Process a line, and return the event that it completes, if any."""
        line = self._without_byte_order_mark(line)
        self._is_first_line = False
        # No field begins with these characters.
        if self._json or line.startswith((b"{", b"[")):
            return self._parse_json_line(line)
        if not line:
            return self._complete_event()
        # The name of a comment is empty. `id` and `retry` matter only to clients that reconnect.
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            if len(self._data) + len(value) > MAX_EVENT_BYTES:
                raise StreamError(f"an event of the stream has more than {MAX_EVENT_BYTES} bytes")
            self._data += value + b"\n"
        elif name == b"event":
            self._type = value
        return None

    def _parse_json_line(self, line: bytes) -> StreamEvent | None:
        """Process a line of JSON without `data:`, and return the event that it completes."""
        if len(self._json) + len(line) > MAX_EVENT_BYTES:
            raise StreamError(f"an event of the stream has more than {MAX_EVENT_BYTES} bytes")
        closing = b"}" if (self._json or line).startswith(b"{") else b"]"
        if line.startswith(closing) if self._json else line.rstrip().endswith(closing):
            return self._complete_json(line)
        self._json += line + b"\n"
        return None

    def _complete_json(self, last_line: bytes) -> StreamEvent:
        data, self._json = bytes(self._json + last_line), bytearray()
        return self._events.build(data, is_error=True)

    def _complete_event(self) -> StreamEvent | None:
        """Return the event whose fields have been parsed, or None if it has no data."""
        data, event_type = self._data, self._type
        self._type = b""
        if not data:
            return None
        self._data = bytearray()
        return self._events.build(bytes(data[:-1]), _decode_type(event_type))


def _decode_type(event_type: bytes) -> str:
    return event_type.decode(errors="replace")


class NdjsonParser:
    """Parses newline-delimited JSON: each line that is not empty is an event.

    Whether a line is valid JSON is not checked.
    """

    def __init__(self) -> None:
        self._events = EventBuilder()
        self._lines = _LineSplitter()

    @property
    def has_partial_event(self) -> bool:
        """Whether a line has begun. Never True after `close`, which returns the last line."""
        return bool(self._lines.partial.strip())

    def feed(self, data: bytes, received: Timestamp) -> Iterator[StreamEvent]:
        """Yield the lines that `data` completes, without white space around them.

        Raises StreamError.
        """
        if not data:
            return
        self._events.received = received
        for line in self._lines.feed(data):
            if document := line.strip():
                yield self._events.build(document)

    def close(self) -> list[StreamEvent]:
        """Return the last line if it has no line end."""
        document = self._lines.close().strip()
        return [self._events.build(document)] if document else []
