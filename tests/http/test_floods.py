"""Answers that do not come to the point: what they may cost, and that nothing of it is kept."""

import time

import pytest

from probe.http.response_reader import MAX_HEADER_BYTES, MAX_INFORMATIONAL_RESPONSES
from probe.result import Reason
from tests.http.conftest import Authority, Serve
from tests.probing import detail, reason, run
from tests.raw_servers import Peer, Script, http_response, once

INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"
LONG = b"x" * 60_000
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"


def endless(head: bytes, piece: bytes) -> Script:
    """Begins with `head` and says the same again and again."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        while True:
            peer.send(piece * 100)

    return script


def lines(name: bytes) -> list[bytes]:
    return [b"%s: %s\r\n" % (name % number if b"%" in name else name, LONG) for number in range(90)]


HEADS = {
    "of many names": once(b"HTTP/1.1 200 OK\r\n" + b"".join(lines(b"X-%d")) + b"\r\n"),
    "of one name": once(b"HTTP/1.1 200 OK\r\n" + b"".join(lines(b"Server-Timing")) + b"\r\n"),
    "of interim answers": once(
        b"".join(b"HTTP/1.1 103 Early Hints\r\n%s\r\n" % line for line in lines(b"X"))
        + http_response()
    ),
    "after the body": endless(CHUNKED, b"X-A: b\r\n"),
}


@pytest.mark.parametrize("script", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_headers_without_end_are_no_http(
    serve: Serve, authority: Authority, script: Script, tls: bool
) -> None:
    """However they are spread over lines, answers and trailers; the deadline has no part in it."""
    server = serve(script, context=authority.context() if tls else None)

    result = run(server.url(), timeout="20s", tls=authority.tls)

    assert reason(result) is Reason.PROTOCOL
    assert f"the headers are larger than {MAX_HEADER_BYTES // 1024} KiB" in detail(result)


@pytest.mark.parametrize("body", [b"", b"x" * MAX_HEADER_BYTES * 2])
def test_large_headers_are_headers(serve: Serve, body: bytes) -> None:
    """Below the cap all is well, and the body has a cap of its own."""
    server = serve(once(http_response(body, *(f"X-{name}: {LONG.decode()}" for name in "abc"))))

    result = run(server.url())

    assert reason(result) is None
    assert result.size == len(body)


def test_interim_answers_are_told_from_a_flood(serve: Serve) -> None:
    """A hundred of them are work in progress: one each second for more than a minute."""
    assert (
        reason(run(serve(once(INTERIM * MAX_INFORMATIONAL_RESPONSES + http_response())).url()))
        is None
    )


@pytest.mark.parametrize("interim", [INTERIM, b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_flood_of_interim_answers_is_no_http(serve: Serve, interim: bytes) -> None:
    """It is over at once, and called what it is."""
    began = time.thread_time()

    result = run(serve(endless(b"", interim)).url(), timeout="20s")

    assert reason(result) is Reason.PROTOCOL
    assert "more than 100 informational responses (1xx)" in detail(result)
    assert time.thread_time() - began < 1
