"""Proxies: requests for http, tunnels for https, credentials, and failures."""

import errno
import socket
import threading
from base64 import b64encode
from contextlib import suppress
from typing import Any

import pytest

from probe.http.pool import ConnectionPool
from probe.http.timed_socket import TimedSocket
from probe.result import Phase, Reason
from tests.http.conftest import Authority, Serve
from tests.probing import detail, make_prober, reason, run, run_scheduled
from tests.raw_servers import Peer, Server, always, free_port, http_response, never_respond

CREDENTIALS = "Basic " + b64encode(b"ann:s3cret").decode()


def tunnel(peer: Peer) -> None:
    """Script of a proxy for CONNECT that connects to loopback for every host name."""
    request = peer.request()
    assert request
    port = int(request.line.split()[1].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as upstream:
        peer.send(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
        downstream = threading.Thread(target=_copy, args=(upstream, peer.connection))
        downstream.start()
        _copy(peer.connection, upstream)
        downstream.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy until `source` ends or one side is closed, then end `target`."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def with_password(proxy: Server) -> str:
    return proxy.url(host="ann:s3cret@127.0.0.1")


def test_an_http_request_to_a_proxy_has_the_whole_url(serve: Serve) -> None:
    """The proxy resolves the name; the Host header is that of the origin."""
    proxy = serve(always(http_response()))

    result = run("http://ann:pw@model.invalid:8080/a?b=c", proxy=with_password(proxy))

    assert reason(result) is None
    (received,) = proxy.requests
    assert received.line == "GET http://model.invalid:8080/a?b=c HTTP/1.1"
    assert received.header("host") == "model.invalid:8080"
    assert received.header("proxy-authorization") == CREDENTIALS
    assert received.header("authorization") == "Basic " + b64encode(b"ann:pw").decode()
    assert Phase.DNS not in result.phases


def test_https_through_a_proxy_is_a_tunnel(serve: Serve, authority: Authority) -> None:
    """TLS is with the origin, which does not get the credentials of the proxy."""
    proxy = serve(tunnel)
    origin = serve(always(http_response(b"inside")), context=authority.context("model.invalid"))

    result = run(
        origin.url("/a", host="model.invalid"), proxy=with_password(proxy), tls=authority.tls
    )

    assert reason(result) is None
    assert result.size == len(b"inside")
    (connect,) = proxy.requests
    assert connect.line == f"CONNECT model.invalid:{origin.port} HTTP/1.1"
    assert connect.header("host") == f"model.invalid:{origin.port}"
    assert connect.header("proxy-authorization") == CREDENTIALS
    (received,) = origin.requests
    assert received.line == "GET /a HTTP/1.1"
    assert received.header("proxy-authorization") is None
    assert list(result.phases) == [
        Phase.CONNECT,
        Phase.TLS,
        Phase.SEND,
        Phase.WAIT,
        Phase.RECEIVE,
    ]


def test_a_tunnel_is_reused(serve: Serve, authority: Authority, pool: ConnectionPool) -> None:
    """One CONNECT serves several requests."""
    proxy = serve(tunnel)
    origin = serve(always(http_response()), context=authority.context())
    prober = make_prober(origin.url(), proxy=proxy.url(), tls=authority.tls, pool=pool)

    assert [reason(run_scheduled(prober)) for _ in range(3)] == [None] * 3
    assert len(proxy.requests) == 1
    assert len(origin.requests) == 3


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_connections_is_proxy(scheme: str) -> None:
    """The reason says nothing about the model."""
    result = run(f"{scheme}://model.invalid/", proxy=f"http://127.0.0.1:{free_port()}")

    assert reason(result) is Reason.PROXY
    assert "127.0.0.1" in detail(result)


def test_a_proxy_with_an_unknown_name_is_proxy() -> None:
    """The name of the proxy is looked up, that of the model is not."""

    def unknown(*_: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    result = run("http://127.0.0.1/", proxy="http://proxy.invalid:1", getaddrinfo=unknown)

    assert reason(result) is Reason.PROXY
    assert "proxy.invalid" in detail(result)


@pytest.mark.parametrize(
    ("error_number", "expected"),
    [
        (errno.EHOSTUNREACH, Reason.PROXY),
        (errno.ENETUNREACH, Reason.PROXY),
        (errno.EMFILE, Reason.INTERNAL),
    ],
)
def test_a_proxy_that_is_unreachable_is_proxy(
    monkeypatch: pytest.MonkeyPatch, error_number: int, expected: Reason
) -> None:
    """A lack of descriptors is the client's fault. Injected: a sandbox has all routes."""

    def connect(*_: Any) -> None:
        raise OSError(error_number, "no way")

    monkeypatch.setattr(TimedSocket, "connect_within", connect)

    assert reason(run("https://model.invalid/", proxy="http://192.0.2.1:1")) is expected


@pytest.mark.parametrize(
    "response",
    [
        http_response(b"", status="407 Proxy Authentication Required"),
        http_response(b"", status="502 Bad Gateway"),
        http_response(b"", "Location: /", status="302 Found"),
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Half",
        b"",
    ],
)
def test_a_tunnel_that_is_refused_is_proxy(serve: Serve, response: bytes) -> None:
    """By a status code, by invalid HTTP, or by the end of the connection."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(response)

    result = run("https://s3cret:s3cret@model.invalid/", proxy=with_password(serve(script)))

    assert reason(result) is Reason.PROXY
    assert "s3cret" not in detail(result)
    assert result.status is None


def test_a_tunnel_that_is_reset_is_proxy(serve: Serve) -> None:
    """A reset instead of a response to CONNECT."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.reset()

    assert reason(run("https://model.invalid/", proxy=serve(script).url())) is Reason.PROXY


def test_a_proxy_that_does_not_respond_is_a_connect_timeout(serve: Serve) -> None:
    """The tunnel is a part of `connect`."""
    result = run("https://model.invalid/", proxy=serve(never_respond).url(), timeout="150ms")

    assert reason(result) is Reason.CONNECT_TIMEOUT


def test_a_denied_proxy_is_denied(serve: Serve) -> None:
    """The network policy applies to the proxy, which the daemon connects to."""
    proxy = serve(always(http_response()))

    result = run("http://model.invalid/", proxy=proxy.url(), networks={"deny": ["127.0.0.0/8"]})

    assert reason(result) is Reason.DENIED
    assert proxy.connections == 0


def test_the_password_of_a_proxy_may_change(serve: Serve) -> None:
    """It is resolved for each run, like all secrets."""
    proxy = serve(always(http_response()))
    environ = {"PW": "one"}
    url = proxy.url(host="ann:${env:PW}@127.0.0.1")
    prober = make_prober("http://model.invalid/", proxy=url, environ=environ)
    prober.run()
    environ["PW"] = "two"
    prober.run()

    sent = [request.header("proxy-authorization") for request in proxy.requests]
    assert sent == ["Basic " + b64encode(f"ann:{pw}".encode()).decode() for pw in ("one", "two")]
