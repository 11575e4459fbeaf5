"""Endless headers, informational responses and framing end the run early: reason `protocol`."""

import time

import pytest

from probe.http.chunk_limits import MAX_FRAMING_BYTES
from probe.http.response_reader import MAX_INFORMATIONAL_RESPONSES, MAX_RESPONSE_HEADER_BYTES
from probe.result import Reason
from tests.http.conftest import Authority, Serve
from tests.probing import detail, reason, run
from tests.raw_servers import Peer, Script, http_response, once

INFORMATIONAL = b"HTTP/1.1 102 Processing\r\n\r\n"
LONG_VALUE = b"x" * 60_000
HEAD_OF_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED = HEAD_OF_CHUNKS + b"2\r\nok\r\n0\r\n"


def endless(head: bytes, piece: bytes) -> Script:
    """Send `head`, then `piece` without end."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        while True:
            peer.send(piece * 100)

    return script


def header_lines(name: bytes) -> list[bytes]:
    """Return 90 header lines, 5.4 MB together; `name` may contain %d."""
    return [
        b"%s: %s\r\n" % (name % number if b"%" in name else name, LONG_VALUE)
        for number in range(90)
    ]


HEADS = {
    "of many names": once(b"HTTP/1.1 200 OK\r\n" + b"".join(header_lines(b"X-%d")) + b"\r\n"),
    "of one name": once(
        b"HTTP/1.1 200 OK\r\n" + b"".join(header_lines(b"Server-Timing")) + b"\r\n"
    ),
    "of informational responses": once(
        b"".join(b"HTTP/1.1 103 Early Hints\r\n%s\r\n" % line for line in header_lines(b"X"))
        + http_response()
    ),
}


@pytest.mark.parametrize("script", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_endless_headers_are_protocol(
    serve: Serve, authority: Authority, script: Script, tls: bool
) -> None:
    """Over many lines or responses; the run ends long before its deadline."""
    server = serve(script, context=authority.context() if tls else None)

    result = run(server.url(), timeout="20s", tls=authority.tls)

    assert reason(result) is Reason.PROTOCOL
    assert f"the headers are larger than {MAX_RESPONSE_HEADER_BYTES // 1024} KiB" in detail(result)


def one_byte_chunks(count: int) -> bytes:
    return HEAD_OF_CHUNKS + b"1\r\nx\r\n" * count + b"0\r\n\r\n"


def extensions(count: int, size: int) -> bytes:
    """Return a body of `count` chunks, each with an extension of `size` bytes."""
    chunk = b"1000;" + b"x" * (size - 1) + b"\r\n" + b"x" * 0x1000 + b"\r\n"
    return HEAD_OF_CHUNKS + chunk * count + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (once(one_byte_chunks(1_000_000)), "the chunks are too small: "),
        (once(one_byte_chunks(MAX_FRAMING_BYTES // 4)), "larger than 64 KiB and half of the body"),
        (endless(HEAD_OF_CHUNKS, b"000001\r\nx\r\n"), "the chunks are too small: "),
        (once(extensions(10, 60_000)), "the chunk extensions are larger than 16 KiB"),
        (once(extensions(1000, 100)), "the chunk extensions are larger than 16 KiB"),
        (endless(CHUNKED, b"X-A: b\r\n"), "the trailers are larger than 16 KiB"),
        (endless(CHUNKED, b"X-A: " + LONG_VALUE + b"\r\n"), "the trailers are larger than 16 KiB"),
    ],
    ids=[
        *("chunks of 1 byte", "few chunks of 1 byte", "long sizes"),
        *("long extensions", "many extensions", "many trailers", "long trailers"),
    ],
)
def test_much_framing_of_chunks_is_protocol(serve: Serve, script: Script, message: str) -> None:
    """Chunks of one byte, extensions and trailers. The run takes little CPU time."""
    server = serve(script)
    started = time.thread_time()

    result = run(server.url(), timeout="20s", max_bytes="10MiB")

    assert reason(result) is Reason.PROTOCOL
    assert message in detail(result)
    assert time.thread_time() - started < 0.3


@pytest.mark.parametrize(
    "response",
    [
        one_byte_chunks(10_000),
        HEAD_OF_CHUNKS + b"c\r\n123456789012\r\n" * 50_000 + b"0\r\n\r\n",
        extensions(100, 150),
        CHUNKED + b"X-A: " + LONG_VALUE[:16_000] + b"\r\n\r\n",
    ],
    ids=["one byte", "12 bytes", "extensions", "trailers"],
)
def test_framing_of_chunks_below_the_limits_is_accepted(serve: Serve, response: bytes) -> None:
    """A server may stream a response of a few thousand tokens, each in a chunk."""
    assert reason(run(serve(once(response)).url(), timeout="20s")) is None


@pytest.mark.parametrize("body", [b"", b"x" * MAX_RESPONSE_HEADER_BYTES * 2])
def test_large_headers_are_accepted(serve: Serve, body: bytes) -> None:
    """Headers below the limit are accepted; the body has another limit."""
    server = serve(
        once(http_response(body, *(f"X-{name}: {LONG_VALUE.decode()}" for name in "abc")))
    )

    result = run(server.url())

    assert reason(result) is None
    assert result.size == len(body)


def test_a_hundred_informational_responses_are_accepted(serve: Serve) -> None:
    """A server may send one each second for more than a minute."""
    assert (
        reason(
            run(serve(once(INFORMATIONAL * MAX_INFORMATIONAL_RESPONSES + http_response())).url())
        )
        is None
    )


@pytest.mark.parametrize("informational", [INFORMATIONAL, b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_flood_of_informational_responses_is_protocol(serve: Serve, informational: bytes) -> None:
    """The run ends at once, without much CPU time."""
    started = time.thread_time()

    result = run(serve(endless(b"", informational)).url(), timeout="20s")

    assert reason(result) is Reason.PROTOCOL
    assert "more than 100 informational responses (1xx)" in detail(result)
    assert time.thread_time() - started < 1
