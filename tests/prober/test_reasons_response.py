"""Reasons of failures while the request is sent and the response received."""

import gzip
from typing import Any

import pytest

from probe.http.pool import ConnectionPool
from probe.result import Phase, Reason
from tests.http.conftest import Serve
from tests.probing import detail, make_prober, reason, run, run_median, run_scheduled
from tests.raw_servers import Peer, Script, always, http_response, never_respond, once

pytestmark = pytest.mark.timing

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_an_rst_while_waiting_is_a_reset(serve: Serve) -> None:
    """As by a worker that is killed."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.reset()

    assert reason(run(serve(script).url())) is Reason.RESET


def test_a_close_without_a_response_is_a_reset(serve: Serve) -> None:
    """As by a proxy whose backend is gone."""
    result = run(serve(once(b"")).url())

    assert reason(result) is Reason.RESET
    assert "closed the connection without a response; " in detail(result)
    assert "(while waiting" in detail(result)
    assert result.status is None


def test_an_rst_in_the_body_is_a_reset(serve: Serve) -> None:
    """The status is reported."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(http_response(b"x" * 100)[:-50])
        peer.pause(0.1)
        peer.reset()

    result = run(serve(script).url())

    assert reason(result) is Reason.RESET
    assert result.status == 200


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80",
        b"x" * 100_000,
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 2xx OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 1000 High\r\n\r\n",
        b"HTTP/1.1 +200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2_00 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 0200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.banana 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/pl",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 100_000 + b"\r\n\r\n",
        http_response(b"x" * 10)[:-1],
        b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        http_response(b"ok", "Content-Length: 5"),
        CHUNKED + b"what?\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"-2\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"\r\nok",
        CHUNKED + b"f" * 100_000,
        CHUNKED + b"2\r\nok\r\n",
        CHUNKED + b"2\r\nokay\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: x",
        CHUNKED + b"20\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 666 Beast\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=lambda reply: repr(reply[-40:])[2:-1],
)
def test_an_invalid_response_is_protocol(serve: Serve, reply: bytes) -> None:
    """Garbage, floods and truncated responses, with a short detail."""
    result = run(serve(once(reply)).url())

    assert reason(result) is Reason.PROTOCOL
    assert detail(result).isprintable()
    assert len(detail(result)) < 300


@pytest.mark.parametrize(
    "line",
    [
        b"this is garbage",
        b"X-A : b",
        b": b",
        b"From here",
        "Gr\u00f6\u00dfe: 1".encode(),
        b"X-A: b\rgarbage",
        b"X-A: b\0c",
    ],
)
@pytest.mark.parametrize("before", [b"", b"Content-Type: multipart/mixed\r\n"])
def test_an_invalid_header_line_is_protocol(serve: Serve, before: bytes, line: bytes) -> None:
    """The server keeps the connection open, so a lost Content-Length would be a timeout."""
    reply = b"HTTP/1.1 200 OK\r\nX-B: c\r\n%b%b\r\nContent-Length: 2\r\n\r\nok" % (before, line)

    result = run(serve(always(reply)).url(), timeout="1s")

    assert reason(result) is Reason.PROTOCOL
    assert "a line of the headers" in detail(result)


def test_headers_do_not_begin_with_a_folded_line(serve: Serve) -> None:
    """There is no line that it could continue."""
    result = run(serve(always(b"HTTP/1.1 200 OK\r\n X-A: b\r\nContent-Length: 0\r\n\r\n")).url())

    assert reason(result) is Reason.PROTOCOL
    assert "a line of the headers" in detail(result)


def test_a_folded_header_is_one_header(serve: Serve) -> None:
    """RFC 9112, 5.2: the line break and the spaces around it are a space."""
    server = serve(always(http_response(b"ok", "X-Model: v3", " \tbeta")))

    assert reason(run(server.url(), expect={"headers": {"X-Model": {"equals": "v3 beta"}}})) is None


@pytest.mark.parametrize(
    "kind", ["multipart/mixed", "multipart/mixed; boundary=x", "message/rfc822", "nonsense"]
)
def test_any_content_type_is_accepted(serve: Serve, kind: str) -> None:
    """Also multipart types, with a body that is not."""
    reply = http_response(b"--x--", f"Content-Type: {kind}", "Content-Transfer-Encoding: base64")

    assert reason(run(serve(always(reply)).url())) is None


@pytest.mark.parametrize(
    "size", [b"+2", b"0_2", b"-2", b"0x2", b" 2", b"2 2", b"\xb2", b"", b";x", b"2\x0b"]
)
def test_a_chunk_size_has_only_hexadecimal_digits(serve: Serve, size: bytes) -> None:
    """Python's int() accepts more than other clients."""
    result = run(serve(always(CHUNKED + size + b"\r\nok\r\n0\r\n\r\n")).url(), timeout="1s")

    assert reason(result) is Reason.PROTOCOL
    assert "the size of a chunk" in detail(result)


@pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "chunked, chunked", "x y"])
def test_an_unsupported_transfer_coding_is_protocol(serve: Serve, coding: str) -> None:
    """The end of the body is unknown. The detail names the coding."""
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n".encode()

    result = run(serve(always(head + b"2\r\nok\r\n0\r\n\r\n")).url(), timeout="1s")

    assert reason(result) is Reason.PROTOCOL
    assert f"Transfer-Encoding is '{coding}'" in detail(result)


@pytest.mark.parametrize("header", ["Transfer-Encoding", "Content-Encoding", "Content-Length"])
def test_a_secret_in_a_header_about_the_body_is_masked(serve: Serve, header: str) -> None:
    """These headers have no case. A detail that quotes them has the case of the secret."""
    secret = "SeCrEt.ToKeN-123"
    reply = b"HTTP/1.1 200 OK\r\n%s: %s\r\n\r\nok" % (header.encode(), secret.encode())

    result = run(
        serve(once(reply)).url(),
        json={"token": secret},
        expect={"body_matches": "ok"},
    )

    assert header in detail(result)
    assert "***" in detail(result)
    assert secret.lower() not in detail(result).lower()


def test_a_secret_as_the_name_of_a_header_is_masked(serve: Serve) -> None:
    """The names of headers are shown in lower case."""
    secret = "AbCdEf.GhIjKl-123"
    reply = http_response(b"ok", f"{secret}: 1", status="500 Oops")

    result = run(serve(once(reply)).url(), headers={"Authorization": f"Bearer {secret}"})

    assert result.excerpt
    assert result.excerpt.headers["***"] == "1"


def test_transfer_encoding_identity_is_no_coding(serve: Serve) -> None:
    """Old servers send it, and other clients accept it."""
    reply = http_response(b"ok", "Transfer-Encoding: Identity")
    assert reason(run(serve(always(reply)).url(), expect={"body_matches": "^ok$"})) is None


def test_a_huge_content_length_is_protocol(serve: Serve) -> None:
    """Also one that Python refuses to parse."""
    result = run(serve(once(http_response(b"ok").replace(b": 2", b": " + b"1" * 5000))).url())

    assert reason(result) is Reason.PROTOCOL
    assert "Content-Length is 111" in detail(result)


def test_little_of_an_invalid_response_is_shown(serve: Serve) -> None:
    """Enough to recognise a protocol. The rest may be a body, and details are public."""
    greeting = detail(run(serve(once(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n")).url()))
    record = detail(run(serve(once(b"user=alice; number=123-45-6789 and more\r\n")).url()))

    assert "SSH-2.0-OpenSSH" in greeting
    assert "user=alice" in record
    assert "123" not in record


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        CHUNKED + b"2;name=value\r\nok\r\n0\r\nTrailer: x\r\n\r\n",
        CHUNKED + b"0A \t;name\r\n0123456789\r\n1 \nx\r\n00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked \r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\tchunked\t\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked \r\n\r\n",
        http_response(b""),
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_valid_responses_are_read_to_their_end(serve: Serve, reply: bytes) -> None:
    """The server keeps the connection open: a client that waits for more would time out."""
    server = serve(always(reply))

    assert reason(run(server.url(), timeout="1s", expect={"status": ["2xx", 304]})) is None


def test_chunks_override_a_content_length(serve: Serve, pool: ConnectionPool) -> None:
    """Also with a space after the name of the coding. The connection is reused."""
    reply = http_response(b"", "Transfer-Encoding: chunked ") + b"2\r\nok\r\n0\r\n\r\n"
    server = serve(always(reply))
    prober = make_prober(server.url(), pool=pool, expect={"body_matches": "^ok$"})

    assert [reason(run_scheduled(prober)) for _ in range(2)] == [None, None]
    assert server.connections == 1


def test_a_body_may_end_with_the_connection(serve: Serve) -> None:
    """As that of HTTP/1.0 servers."""
    result = run(serve(once(b"HTTP/1.0 200 OK\r\n\r\nhello")).url())

    assert reason(result) is None
    assert result.size == 5


def test_a_response_to_head_has_no_body(serve: Serve) -> None:
    """Whatever Content-Length says."""
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

    assert reason(run(serve(always(reply)).url(), method="HEAD", timeout="1s")) is None


def endless_body(head: bytes) -> Script:
    """Return a script that sends `head` and a body in chunks without end."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        while not peer.server.closing.is_set():
            peer.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")

    return script


@pytest.mark.parametrize(
    "head",
    [
        CHUNKED,
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",
    ],
)
def test_an_endless_body_is_too_large(serve: Serve, head: bytes) -> None:
    """Also with a declared length of 1 TB, and for errors and redirects."""
    result = run(serve(endless_body(head)).url(), max_bytes="100kB", redirects=1)

    assert reason(result) is Reason.TOO_LARGE
    assert "max_bytes" in detail(result)
    assert result.size < 100_000 + 64 * 1024 + 1


@pytest.mark.parametrize(("size", "wanted"), [(1000, None), (1001, Reason.TOO_LARGE)])
def test_a_body_of_maximum_size_is_accepted(serve: Serve, size: int, wanted: Reason | None) -> None:
    """`max_bytes` itself is allowed."""
    result = run(serve(always(http_response(b"x" * size))).url(), max_bytes="1000B")

    assert reason(result) is wanted


def test_a_gzip_bomb_is_an_assertion(serve: Serve) -> None:
    """20 kB that decompress to 20 MB."""
    bomb = gzip.compress(b"0" * 20_000_000)
    server = serve(always(http_response(bomb, "Content-Encoding: gzip")))

    result = run(server.url(), max_bytes="1MiB", expect={"body_matches": "0"})

    assert reason(result) is Reason.ASSERTION
    assert "decompressed" in detail(result)


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_that_does_not_read_is_a_send_timeout(
    serve: Serve, tls: bool, authority: Any
) -> None:
    """The request is larger than the buffers of both sockets."""

    def script(peer: Peer) -> None:
        peer.silence()

    server = serve(script, receive_buffer=4096, context=authority.context() if tls else None)

    result = run_median(server.url(), body="x" * 6_000_000, timeout="300ms", tls=authority.tls)

    assert reason(result) is Reason.SEND_TIMEOUT
    assert result.latency == pytest.approx(0.3, abs=0.1)
    assert Phase.WAIT not in result.phases


def test_no_response_is_a_first_byte_timeout(serve: Serve) -> None:
    """As of a hanging model."""
    result = run_median(serve(never_respond).url(), timeout="150ms")

    assert reason(result) is Reason.FIRST_BYTE_TIMEOUT
    assert "0.15 s" in detail(result)
    assert result.latency == pytest.approx(0.15, abs=0.02)
    assert Phase.RECEIVE not in result.phases


def test_only_informational_responses_is_a_first_byte_timeout(serve: Serve) -> None:
    """100 and 103 are not the final response."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
        peer.silence()

    result = run(serve(script).url(), timeout="150ms")

    assert reason(result) is Reason.FIRST_BYTE_TIMEOUT
    assert Phase.RECEIVE not in result.phases


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_a_slow_response_is_a_body_timeout(serve: Serve, head: bytes) -> None:
    """Slow headers or a slow body: after the first byte the phase is `receive`."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        peer.drip(http_response(b"x" * 1000))

    result = run_median(serve(script).url(), timeout="150ms")

    assert reason(result) is Reason.BODY_TIMEOUT
    assert result.latency == pytest.approx(0.15, abs=0.02)
    assert result.phases[Phase.RECEIVE] == pytest.approx(0.15, abs=0.05)


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (302, Reason.HTTP_3XX),
        (304, Reason.HTTP_3XX),
        (400, Reason.HTTP_4XX),
        (401, Reason.HTTP_401_403),
        (403, Reason.HTTP_401_403),
        (404, Reason.HTTP_4XX),
        (407, Reason.HTTP_4XX),
        (429, Reason.RATE_LIMITED),
        (500, Reason.HTTP_5XX),
        (502, Reason.HTTP_5XX),
        (503, Reason.OVERLOADED),
        (504, Reason.HTTP_5XX),
        (529, Reason.OVERLOADED),
    ],
)
def test_reasons_of_unexpected_statuses(serve: Serve, status: int, wanted: Reason) -> None:
    """The status is reported, too."""
    result = run(serve(always(http_response(b"", "Location: /x", status=f"{status} So"))).url())

    assert reason(result) is wanted
    assert result.status == status
    assert str(status) in detail(result)


@pytest.mark.parametrize(
    ("status", "method", "advice"),
    [
        (
            405,
            "GET",
            ": the endpoint does not accept GET; `json` (--json) or `body` makes it a POST",
        ),
        (405, "PUT", ": the endpoint does not accept this `method`"),
        (415, "POST", ": the endpoint does not accept this type of body; write `json`, or the"),
        (422, "POST", ": the endpoint does not accept this body; write `json` as the endpoint"),
        (404, "GET", ""),
    ],
)
def test_advice_about_a_status(serve: Serve, status: int, method: str, advice: str) -> None:
    """The detail says what to change in the config, and the reason stays the same."""
    url = serve(always(http_response(b"", status=f"{status} No"))).url()

    result = run(url, method=method)

    assert reason(result) is Reason.HTTP_4XX
    assert detail(result).startswith(f"the response has the status {status}{advice}")
    assert advice or detail(result) == "the response has the status 404"


def test_an_unexpected_success_status_is_an_assertion(serve: Serve) -> None:
    """204 instead of 200."""
    reply = b"HTTP/1.1 204 No Content\r\n\r\n"

    result = run(serve(always(reply)).url(), expect={"status": [200]})

    assert reason(result) is Reason.ASSERTION


@pytest.mark.parametrize("written", ["v3", "v3 ", "\tv3 \t"])
def test_whitespace_around_a_header_value_is_ignored(serve: Serve, written: str) -> None:
    """RFC 9110, 5.5."""
    server = serve(always(http_response(b"ok", f"X-Model:{written}")))

    assert reason(run(server.url(), expect={"headers": {"X-Model": {"equals": "v3"}}})) is None


def test_a_wrong_body_is_an_assertion(serve: Serve) -> None:
    """The status is as expected."""
    result = run(
        serve(always(http_response(b"negative"))).url(), expect={"body_matches": "positive"}
    )

    assert reason(result) is Reason.ASSERTION
    assert result.status == 200
