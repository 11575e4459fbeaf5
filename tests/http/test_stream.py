"""Event streams: server-sent events, newline-delimited JSON and frames of AWS."""

import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probe.http.aws_event_stream import MAX_HEADERS_BYTES, AwsEventStreamParser
from probe.http.stopwatch import Timestamp
from probe.http.stream import (
    MAX_EVENT_BYTES,
    EventParser,
    NdjsonParser,
    SseParser,
    StreamError,
    StreamEvent,
)

PARSERS: list[Callable[[], EventParser]] = [SseParser, NdjsonParser, AwsEventStreamParser]


def feed_all(parser: EventParser, feeds: Iterable[bytes]) -> Iterator[StreamEvent]:
    """Yield the events of `feeds`. The first read is at 1 ns, the second one at 2 ns."""
    for time_ns, data in enumerate(feeds, 1):
        yield from parser.feed(data, Timestamp(time_ns, time_ns))
    yield from parser.close()


def parse(parser: EventParser, *feeds: bytes) -> list[StreamEvent]:
    return list(feed_all(parser, feeds))


def payloads(parser: EventParser, *feeds: bytes) -> list[bytes]:
    return [event.data for event in parse(parser, *feeds)]


def each_byte(data: bytes) -> Iterator[bytes]:
    return (data[position : position + 1] for position in range(len(data)))


def string_header(name: str, value: str) -> bytes:
    return b"%c%s\x07%s%s" % (len(name), name.encode(), number(len(value), 2), value.encode())


def number(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size)


def with_crc(data: bytes) -> bytes:
    return data + number(zlib.crc32(data))


def prelude(frame_bytes: int, headers_bytes: int) -> bytes:
    return with_crc(number(frame_bytes) + number(headers_bytes))


def frame(payload: bytes = b"", headers: bytes = b"") -> bytes:
    size = 16 + len(headers) + len(payload)
    return with_crc(prelude(size, len(headers)) + headers + payload)


def test_event() -> None:
    assert parse(SseParser(), b'event: delta\ndata: {"a": 1}\n\n') == [
        StreamEvent(
            data=b'{"a": 1}',
            type="delta",
            is_error=False,
            received=Timestamp(1, 1),
            is_merged=False,
        )
    ]


STREAMS = {
    "LF": (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    "CR": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "mixed line ends": (b"data: a\r\n\ndata: b\r\r\n", [b"a", b"b"]),
    "several data lines": (b"data: a\ndata:\ndata: b\n\n", [b"a\n\nb"]),
    "no space": (b"data:a\n\n", [b"a"]),
    "two spaces": (b"data:  a \n\n", [b" a "]),
    "tabulator": (b"data:\ta\n\n", [b"\ta"]),
    "colons in the data": (b"data: a: b\n\n", [b"a: b"]),
    "no colon": (b"data\n\ndata\ndata\n\n", [b"", b"\n"]),
    "comments": (b": ping\n\n:\n\ndata: a\n: in an event\ndata: b\n\n", [b"a\nb"]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    "byte order mark before an error": (b"\xef\xbb\xbf{}", [b"{}"]),
    "two byte order marks": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
    "byte order mark in the second line": (b"\n\xef\xbb\xbfdata: a\n\n", []),
    "id and retry": (b"id: 1\nretry: 2\ndata: a\n\n", [b"a"]),
    "unknown fields": (b"Data: a\n data: b\ndata : c\ndatum: d\n\n", []),
    "no data": (b"event: ping\n\nid: 1\n\n\n\n", []),
    "other line separators": (
        "data: a\u2028b\u2029c\x85d\n\n".encode() + b"data: \x0b\x0c\x1c\x1d\x1e\x85\n\n",
        ["a\u2028b\u2029c\x85d".encode(), b"\x0b\x0c\x1c\x1d\x1e\x85"],
    ),
    "not UTF-8": (b"data: \xff\x00\n\n", [b"\xff\x00"]),
    "end of OpenAI": (b"data: [DONE]\n\n", [b"[DONE]"]),
}


@pytest.mark.parametrize(("stream", "data"), STREAMS.values(), ids=STREAMS)
def test_server_sent_events(stream: bytes, data: list[bytes]) -> None:
    """The stream is parsed as browsers do, also if each byte arrives alone."""
    assert payloads(SseParser(), stream) == data
    assert payloads(SseParser(), *each_byte(stream)) == data


def test_type_belongs_to_one_event() -> None:
    """The type is the last `event` field before an empty line, with or without data."""
    events = parse(
        SseParser(),
        b"event: a\nevent: b\ndata\n\ndata\n\nevent: c\n\ndata\n\nevent: \xff\ndata\n\n",
    )

    assert [event.type for event in events] == ["b", "", "", "\ufffd"]


def test_crlf_in_two_feeds() -> None:
    """The CR completes the event. The LF that follows is no empty line of the next one."""
    events = parse(SseParser(), b"data: a\r\n\r", b"\ndata: b\r\n", b"", b"data: c\r", b"\n\r\n")

    assert [event.data for event in events] == [b"a", b"b\nc"]
    assert [event.received.user for event in events] == [1, 5]


@pytest.mark.parametrize("line", [b'{"error": {"code": 503}}', b'[{"error": {}}]'])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_json_without_field_is_an_error(line: bytes, end: bytes) -> None:
    """Gemini sends errors as JSON without `data:`, and maybe without a line end."""
    parser = SseParser()

    events = parse(parser, b"data: a\n\n", line + end)

    assert [(event.data, event.is_error) for event in events] == [(b"a", False), (line, True)]
    assert events[-1].received.user == 2
    assert not parser.has_partial_event


@pytest.mark.parametrize("stream", [b"data: b\n", b"data: b", b"event: b\n", b"d"])
def test_incomplete_event_is_discarded(stream: bytes) -> None:
    parser = SseParser()

    assert payloads(parser, b"data: a\n\n", stream) == [b"a"]
    assert parser.has_partial_event


@pytest.mark.parametrize(
    "stream", [b"", b"\n", b"event: b\n\n", b"id: 1\n", b": ping\n", b": ping"]
)
def test_no_event_is_incomplete(stream: bytes) -> None:
    """What can be no event is no incomplete event, e.g. a comment without its end."""
    parser = SseParser()

    assert payloads(parser, b"data: a\n\n", stream) == [b"a"]
    assert not parser.has_partial_event


def test_received_and_merged() -> None:
    """An event has the time of its last byte. Events of one read are merged, except the first."""
    events = parse(
        SseParser(), b"data: a\n", b"\ndata: b\n\ndata: c\n\nda", b"", b"ta: d\n\n: ping\n\n"
    )

    assert [(event.data, event.received.user, event.is_merged) for event in events] == [
        (b"a", 2, False),
        (b"b", 2, True),
        (b"c", 2, True),
        (b"d", 4, False),
    ]


@pytest.mark.parametrize(
    ("parser", "data"),
    [(SseParser(), b"data: a\n\n"), (NdjsonParser(), b"1\n"), (AwsEventStreamParser(), frame())],
    ids=["SSE", "NDJSON", "AWS"],
)
def test_feeds_of_the_same_read_are_merged(parser: EventParser, data: bytes) -> None:
    """The HTTP client may return the chunks of one read one after the other."""
    first, second = Timestamp(1, 1), Timestamp(2, 2)

    events = [event for at in (first, first, second) for event in parser.feed(data, at)]

    assert [event.is_merged for event in events] == [False, True, False]


def test_json_lines() -> None:
    stream = b'{"a": 1}\n\n \r\n{"b":\r 2}\r\n\t{"c": 3} \n'

    assert payloads(NdjsonParser(), stream) == [b'{"a": 1}', b'{"b":\r 2}', b'{"c": 3}']


def test_last_json_line_without_end() -> None:
    """The last line is an event of the read of its last byte."""
    parser = NdjsonParser()

    events = parse(parser, b"1\n", b"2\n3", b"")

    assert [(event.data, event.received.user, event.is_merged) for event in events] == [
        (b"1", 1, False),
        (b"2", 2, False),
        (b"3", 2, True),
    ]
    assert not parser.has_partial_event


def test_json_line_has_begun() -> None:
    parser = NdjsonParser()

    assert list(parser.feed(b"1\n2", Timestamp(1, 1)))
    assert parser.has_partial_event
    assert list(parser.feed(b"\n ", Timestamp(2, 2)))
    assert not parser.has_partial_event


ALL_TYPES = b"".join(
    b"\x01%c%c%s" % (ord("a") + header_type, header_type, value)
    for header_type, value in enumerate(
        [
            b"",
            b"",
            b"1",
            b"12",
            b"1234",
            b"12345678",
            b"\0\x011",
            b"\0\x011",
            b"12345678",
            b"1" * 16,
        ]
    )
)


def test_empty_aws_frame() -> None:
    """The smallest frame. AWS's SDKs test with its checksums: `frame` computes them correctly."""
    data = bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff")

    assert frame() == data
    assert payloads(AwsEventStreamParser(), data) == [b""]


def test_aws_event() -> None:
    """A frame is an event. Headers of all types are accepted."""
    headers = (
        ALL_TYPES
        + string_header(":event-type", "contentBlockDelta")
        + string_header(":content-type", "application/json")
        + string_header(":message-type", "event")
    )

    assert parse(AwsEventStreamParser(), frame(b"{}", headers)) == [
        StreamEvent(
            data=b"{}",
            type="contentBlockDelta",
            is_error=False,
            received=Timestamp(1, 1),
            is_merged=False,
        )
    ]


@pytest.mark.parametrize(
    ("message_type", "type_header"),
    [("exception", ":exception-type"), ("error", ":error-code")],
)
def test_aws_error(message_type: str, type_header: str) -> None:
    headers = string_header(type_header, "throttlingException")
    headers += string_header(":message-type", message_type)

    (event,) = parse(AwsEventStreamParser(), frame(b'{"message": "slow down"}', headers))

    assert event.is_error
    assert event.type == "throttlingException"
    assert event.data == b'{"message": "slow down"}'


def test_aws_frames_in_parts() -> None:
    """A frame is complete with its last byte, and may be without headers and payload."""
    stream = frame(b"a") + frame() + frame(b"c")

    events = parse(AwsEventStreamParser(), stream[:-1], stream[-1:])

    assert [(event.data, event.received.user, event.is_merged) for event in events] == [
        (b"a", 1, False),
        (b"", 1, True),
        (b"c", 2, False),
    ]


@pytest.mark.parametrize("size", [1, 11, 12, 16, 20])
def test_incomplete_aws_frame_is_discarded(size: int) -> None:
    parser = AwsEventStreamParser()

    assert payloads(parser, frame(b"a") + frame(b"12345")[:size]) == [b"a"]
    assert parser.has_partial_event


INVALID_FRAMES = {
    "text": (b"<html><body>", "checksum of the lengths of a frame"),
    "payload": (frame(b"abc").replace(b"abc", b"abd"), "checksum of a frame"),
    "too long": (prelude(MAX_EVENT_BYTES + 1, 0), f"more than {MAX_EVENT_BYTES} bytes"),
    "too short": (prelude(15, 0), "shorter than its headers"),
    "too much headers": (prelude(20, 5), "shorter than its headers"),
    "too large headers": (
        prelude(MAX_EVENT_BYTES, MAX_HEADERS_BYTES + 1),
        f"headers of a frame have more than {MAX_HEADERS_BYTES} bytes",
    ),
    "no type": (frame(headers=b"\x01a"), "last header of a frame is incomplete"),
    "incomplete name": (frame(headers=b"\x05a"), "last header of a frame is incomplete"),
    "incomplete value": (frame(headers=b"\x01a\x07\0\x05a"), "last header of a frame is incomp"),
    "unknown type": (frame(headers=b"\x01a\x0a"), "unknown type 10"),
}


@pytest.mark.parametrize(("stream", "message"), INVALID_FRAMES.values(), ids=INVALID_FRAMES)
def test_invalid_aws_frame(stream: bytes, message: str) -> None:
    """The events before the invalid frame are returned, in one read and in many."""
    for feeds in ([frame(b"a") + stream], each_byte(frame(b"a") + stream)):
        events = feed_all(AwsEventStreamParser(), feeds)

        assert next(events).data == b"a"
        with pytest.raises(StreamError, match=message):
            next(events)


LARGEST = {
    "line": (SseParser, b"data:" + b"x" * (MAX_EVENT_BYTES - 5), b"x", b"\n\n"),
    "comment": (SseParser, b":" + b"x" * (MAX_EVENT_BYTES - 1), b"x", b"\ndata\n\n"),
    "data lines": (
        SseParser,
        (b"data:" + b"x" * 1023 + b"\n") * 1024 + b"data:\n",
        b"data:\n",
        b"\n",
    ),
    "JSON line": (NdjsonParser, b"1" * MAX_EVENT_BYTES, b"1", b"\n"),
}


@pytest.mark.parametrize(("parser", "stream", "more", "end"), LARGEST.values(), ids=LARGEST)
def test_limit_of_an_event(
    parser: Callable[[], EventParser], stream: bytes, more: bytes, end: bytes
) -> None:
    """An event at the limit is accepted. One byte more is an error, in one read and in many."""
    assert len(payloads(parser(), stream + end)) == 1
    for feeds in ([stream + more + end], [stream, more]):
        with pytest.raises(StreamError, match=f"(longer|more) than {MAX_EVENT_BYTES} bytes"):
            payloads(parser(), *feeds)


def test_limit_of_an_aws_frame() -> None:
    payload = b"x" * (MAX_EVENT_BYTES - 16)

    assert payloads(AwsEventStreamParser(), frame(payload)) == [payload]


def test_limit_is_not_for_the_stream() -> None:
    """Streams may be longer than one event, and comments between events may be."""
    comments = b": ping\n" * (MAX_EVENT_BYTES // 4)

    assert payloads(SseParser(), comments, b"data: a\n\n", comments, b"data: b\n\n") == [b"a", b"b"]


FLOOD_BYTES = 1024 * 1024

# A second of CPU, or three in feeds of one byte, and more on slow machines. Quadratic time would be
# minutes, and with a quarter of the bytes more than ten seconds.
MAX_FLOOD_SECONDS = 15

# Streams of which each byte arrives alone.
SLOW_FLOODS = {
    "one SSE line": (SseParser, b"data: ".ljust(FLOOD_BYTES - 2, b"x") + b"\n\n"),
    "empty SSE lines": (SseParser, b"\n" * FLOOD_BYTES),
    "SSE data lines": (SseParser, b"data\n" * (FLOOD_BYTES // 5)),
    "one JSON line": (NdjsonParser, b"1" * FLOOD_BYTES),
    "one AWS frame": (AwsEventStreamParser, frame(b"x" * (FLOOD_BYTES - 16))),
}

# Streams that arrive in one read.
FLOODS = {
    **SLOW_FLOODS,
    "SSE events": (SseParser, b"data\n\n" * (FLOOD_BYTES // 6)),
    "empty JSON lines": (NdjsonParser, b"\n" * FLOOD_BYTES),
    "JSON lines": (NdjsonParser, b"1\n" * (FLOOD_BYTES // 2)),
    "empty AWS frames": (AwsEventStreamParser, frame() * (FLOOD_BYTES // 16)),
    "AWS headers": (AwsEventStreamParser, frame(headers=b"\0\0" * (MAX_HEADERS_BYTES // 2)) * 8),
}


def cpu_seconds(parser: EventParser, feeds: Iterable[bytes]) -> float:
    """Return the CPU time of parsing `feeds` (seconds). The events are not kept."""
    start = time.process_time()
    for _ in feed_all(parser, feeds):
        pass
    return time.process_time() - start


@pytest.mark.parametrize(("parser", "stream"), FLOODS.values(), ids=FLOODS)
def test_cpu_for_one_read(parser: Callable[[], EventParser], stream: bytes) -> None:
    assert cpu_seconds(parser(), [stream]) < MAX_FLOOD_SECONDS


@pytest.mark.parametrize(("parser", "stream"), SLOW_FLOODS.values(), ids=SLOW_FLOODS)
def test_cpu_for_single_bytes(parser: Callable[[], EventParser], stream: bytes) -> None:
    """A parser searches each byte once, and not the whole line whenever a byte arrives."""
    assert cpu_seconds(parser(), each_byte(stream[: FLOOD_BYTES // 4])) < MAX_FLOOD_SECONDS / 4


SSE_PARTS = [
    *(b"data", b"event", b"id", b":", b" ", b"x", b"{}", b"[", b"\xef\xbb\xbf", b"\xc3", b"\xbc"),
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"data: a\n\n", b"event: b\r\n", b": ping\n\n"),
    *(b"event: b\ndata: a\n\n", b"event:b\r\ndata:a\r\n\r\n", b"data: a\rb\n\n", b"data:\r\n\n"),
]
AWS_PARTS = st.builds(frame, st.binary(max_size=20), st.binary(max_size=20)) | st.builds(
    lambda name, value: frame(value.encode(), string_header(name, value)),
    st.sampled_from([":message-type", ":event-type", ":exception-type"]),
    st.sampled_from(["event", "exception", "error"]),
)
STREAM_BYTES = st.one_of(
    st.binary(),
    st.lists(st.sampled_from(SSE_PARTS)).map(b"".join),
    st.lists(AWS_PARTS | st.binary(max_size=20), max_size=5).map(b"".join),
)


def content(parser: EventParser, feeds: Iterable[bytes]) -> list[object]:
    """Return what does not depend on the reads: events, error, and whether one is incomplete."""
    found: list[object] = []
    try:
        for event in feed_all(parser, feeds):
            found.append((event.data, event.type, event.is_error))  # noqa: PERF401
    except StreamError as error:
        return [*found, str(error)]
    return [*found, parser.has_partial_event]


@given(stream=STREAM_BYTES, cuts=st.lists(st.integers(0, 200)))
@example(stream=b"data: a\r\n\r\ndata: b\r\n\r\n", cuts=[8, 10])
@example(stream=b"data: a\rdata: b\n\n", cuts=[])
@example(stream=b"event: a\ndata: b\n\ndata: c\n\n", cuts=[9])
@pytest.mark.parametrize("parser", PARSERS)
def test_events_do_not_depend_on_reads(
    parser: Callable[[], EventParser], stream: bytes, cuts: list[int]
) -> None:
    """Any bytes are events or a StreamError, the same for all splits into reads."""
    borders = [0, *sorted(cuts), len(stream)]
    feeds = [stream[start:end] for start, end in pairwise(borders)]

    whole = content(parser(), [stream])

    assert content(parser(), feeds) == whole
    assert content(parser(), each_byte(stream)) == whole
