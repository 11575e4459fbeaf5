"""The request that a probe sends."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
from responses import matchers

from probe import __version__
from probe.clock import Clock
from probe.config.secrets import Secrets
from probe.http.pool import ConnectionPool
from probe.http.stopwatch import Timestamp
from probe.prober.prober import Prober
from probe.result import Reason
from tests.http.conftest import Serve
from tests.probing import (
    EVALUATOR,
    detail,
    fake_getaddrinfo,
    make_prober,
    read_probe,
    reason,
    run,
    run_scheduled,
)
from tests.raw_servers import Peer, Received, always, http_response


def sent_request(serve: Serve, path: str = "/", *, host: str = "127.0.0.1", **how: Any) -> Received:
    """Return the request that a server receives from a probe."""
    server = serve(always(http_response()))
    assert reason(run(server.url(path, host=host), **how)) is None
    (received,) = server.requests
    return received


def test_a_plain_request_has_five_headers(serve: Serve) -> None:
    """No header for compression, cookies or authorization."""
    received = sent_request(serve)

    assert received.line == "GET / HTTP/1.1"
    names = {"host", "user-agent", "accept", "connection", "traceparent"}
    assert {name for name, _ in received.headers} == names
    assert received.header("user-agent") == f"inference-probe/{__version__}"
    assert received.header("connection") == "close"
    assert received.body == b""


def test_connection_reuse_sends_keep_alive(serve: Serve, pool: ConnectionPool) -> None:
    """The server may keep the connection open."""
    assert sent_request(serve, pool=pool).header("connection") == "keep-alive"


def test_configured_headers_override_defaults(serve: Serve) -> None:
    """In any case, and only once: two Host headers are invalid (RFC 9112, 3.2)."""
    mine = {
        "user-agent": "mine",
        "ACCEPT": "application/json",
        "host": "model.internal",
        "content-type": "application/x-ndjson",
        "X-Empty": "",
        "X-Latin": "grün",
    }

    received = sent_request(serve, headers=mine, json={"a": 1})

    for name, value in mine.items():
        assert received.header(name.lower()) == value


def test_json_is_sent_as_json(serve: Serve) -> None:
    """With its type and length, by POST."""
    document = {"data": ["ä", 1.5, None, True]}

    received = sent_request(serve, json=document)

    assert received.line == "POST / HTTP/1.1"
    assert received.header("content-type") == "application/json"
    assert received.header("content-length") == str(len(received.body))
    assert json.loads(received.body) == document


@pytest.mark.parametrize("document", [{}, [], 0, False, ""])
def test_empty_json_is_sent(serve: Serve, document: Any) -> None:
    """It is not the same as no body."""
    assert json.loads(sent_request(serve, json=document).body) == document


def test_text_is_sent_unchanged(serve: Serve) -> None:
    """In UTF-8, with its length in bytes, and without a type."""
    received = sent_request(serve, body="grün\r\n", method="PUT")

    assert received.line == "PUT / HTTP/1.1"
    assert received.body == "grün\r\n".encode()
    assert received.header("content-length") == "7"
    assert received.header("content-type") is None


def test_a_file_is_sent_unchanged(serve: Serve, tmp_path: Path) -> None:
    """Also binary data."""
    (tmp_path / "image").write_bytes(bytes(range(256)))

    received = sent_request(serve, body_file="image", base=tmp_path)

    assert received.line == "POST / HTTP/1.1"
    assert received.body == bytes(range(256))


@pytest.mark.parametrize("keys", [{"body": ""}, {"body_file": "empty"}, {"method": "POST"}])
def test_an_empty_post_has_a_content_length(
    serve: Serve, tmp_path: Path, keys: dict[str, str]
) -> None:
    """Without it, servers respond with 411."""
    (tmp_path / "empty").touch()

    received = sent_request(serve, base=tmp_path, **keys)

    assert received.line == "POST / HTTP/1.1"
    assert received.header("content-length") == "0"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/a/b?c=d&e=f%20g", "/a/b?c=d&e=f%20g"),
        ("", "/"),
        ("?q=1", "/?q=1"),
        ("/grün", "/gr%C3%BCn"),
        ("/v2/models/a:b/infer", "/v2/models/a:b/infer"),
    ],
)
def test_the_target_is_path_and_query(serve: Serve, path: str, target: str) -> None:
    """As configured, and encoded where necessary."""
    assert sent_request(serve, path).line == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize(
    ("host", "listen", "wanted"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1:{port}"),
        ("[::1]", "::1", "[::1]:{port}"),
        ("MODEL.test", "127.0.0.1", "model.test:{port}"),
        ("user:pass@model.test", "127.0.0.1", "model.test:{port}"),
    ],
)
def test_the_host_header_is_host_and_port(
    serve: Serve, host: str, listen: str, wanted: str
) -> None:
    """With brackets for IPv6, and without user and password."""
    server = serve(always(http_response()), host=listen)

    result = run(server.url(host=host), getaddrinfo=fake_getaddrinfo(model_test="127.0.0.1"))

    assert reason(result) is None
    assert server.requests[0].header("host") == wanted.format(port=server.port)


def test_user_and_password_of_the_url_become_authorization(serve: Serve) -> None:
    """Decoded. A configured Authorization overrides it."""
    host = "ann:p%40ss@127.0.0.1"
    expected = "Basic " + b64encode(b"ann:p@ss").decode()

    assert sent_request(serve, host=host).header("authorization") == expected
    own = sent_request(serve, host=host, headers={"authorization": "Bearer x"})
    assert own.header("authorization") == "Bearer x"


def test_the_environment_has_no_effect(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Proxies and .netrc would change the measurement silently."""
    trap = serve(always(http_response(status="500 Trap")))
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login ann password secret\n")
    netrc.chmod(0o600)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, trap.url())
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    server = serve(always(http_response(b"", "Location: /on", status="302 Found")))
    assert requests.utils.get_netrc_auth(server.url()) == ("ann", "secret")

    run(server.url(), redirects=1)

    assert trap.connections == 0
    assert len(server.requests) == 2
    assert {request.header("authorization") for request in server.requests} == {None}


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n\r\n"])
def test_a_failure_is_not_retried(serve: Serve, reply: bytes) -> None:
    """A retry would hide a failure that clients experience."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(reply)
        peer.reset()

    server = serve(script)

    result = run(server.url())

    assert result.failure
    assert (server.connections, len(server.requests)) == (1, 1)


def test_a_reset_on_a_reused_connection_is_not_retried(serve: Serve, pool: ConnectionPool) -> None:
    """The connection was open when the request was sent: the server may have processed it."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(http_response())
        peer.request()
        peer.reset()

    server = serve(script)
    prober = make_prober(server.url(), pool=pool, json={})

    assert reason(run_scheduled(prober)) is None
    assert reason(run_scheduled(prober)) is Reason.RESET
    assert len(server.requests) == 2


def test_a_changed_secret_is_used_at_once(serve: Serve, tmp_path: Path) -> None:
    """In URL, header and body."""
    (tmp_path / "token").write_text("one\n")
    server = serve(always(http_response()))
    prober = make_prober(
        server.url("/?key=${file:token}"),
        base=tmp_path,
        headers={"Authorization": "Bearer ${file:token}"},
        json={"a": ["${file:token}", "x"]},
    )

    for word in ("one", "three"):
        (tmp_path / "token").write_text(f"{word}\n")
        assert reason(prober.run()) is None
        received = server.requests[-1]
        assert received.line == f"POST /?key={word} HTTP/1.1"
        assert received.header("authorization") == f"Bearer {word}"
        assert json.loads(received.body) == {"a": [word, "x"]}


@pytest.mark.parametrize("scheme", ["https", "socks5", "ftp"])
def test_a_changed_proxy_must_have_a_supported_scheme(tmp_path: Path, scheme: str) -> None:
    """A secret file cannot select what a config cannot. The value is not shown."""
    (tmp_path / "proxy").write_text("http://127.0.0.1:1")
    prober = make_prober("http://model.invalid", base=tmp_path, proxy="${file:proxy}")
    (tmp_path / "proxy").write_text(f"{scheme}://user:secret@127.0.0.1:1")

    result = prober.run()

    assert reason(result) is Reason.INTERNAL
    assert "has changed: the result is not a valid URL" in detail(result)


def test_references_in_a_text_body(serve: Serve) -> None:
    """They are replaced, as in JSON."""
    assert sent_request(serve, body="key=${env:KEY}", environ={"KEY": "abc"}).body == b"key=abc"


def test_the_request_is_one_segment(serve: Serve) -> None:
    """Headers and body are sent at one instant."""
    pieces: list[bytes] = []

    def script(peer: Peer) -> None:
        pieces.append(peer.connection.recv(65536))
        peer.send(http_response())

    run(serve(script).url(), json={"a": 1})

    assert pieces[0].endswith(b'{"a": 1}')


# The tests below need no server: they replace the client by an adapter of requests.


class Adapter(requests.adapters.HTTPAdapter):
    """An adapter of requests with the attributes of an HttpClient."""

    certificate_not_after: float | None = None
    last_received = Timestamp(0, 0)


def with_requests(url: str, **keys: Any) -> Prober:
    secrets = Secrets({}, Path())
    probe = read_probe(url, secrets, Path(), keys)
    return Prober(probe, secrets, lambda *_, **__: Adapter(), Clock(), EVALUATOR)


@responses.activate
def test_any_adapter_of_requests_is_a_client() -> None:
    """The prober needs only `send` and the attributes of HttpClient."""
    responses.post(
        "http://model/predict",
        json={"result": "positive"},
        match=[matchers.json_params_matcher({"data": "x"})],
    )
    expect = {"json": {"$.result": {"in": ["positive", "negative"]}}}

    result = with_requests("http://model/predict", json={"data": "x"}, expect=expect).run()

    assert reason(result) is None
    assert result.status == 200
    assert result.size == len('{"result": "positive"}')
    assert result.phases == {}
    assert result.certificate_not_after is None


@responses.activate
def test_the_detail_of_an_unexpected_value() -> None:
    """It names the place, the actual and the expected value."""
    responses.get("http://model/", json={"result": "neutral"})
    expect = {"json": {"$.result": {"in": ["positive", "negative"]}}}

    result = with_requests("http://model/", expect=expect).run()

    assert reason(result) is Reason.ASSERTION
    assert detail(result) == '$.result is "neutral", none of ["positive", "negative"]'


@responses.activate
def test_any_exception_is_a_result() -> None:
    """`run` does not raise exceptions of the client."""
    responses.get("http://model/", body=ZeroDivisionError("a bug"))

    result = with_requests("http://model/").run()

    assert reason(result) is Reason.INTERNAL
    assert "a bug" in detail(result)
