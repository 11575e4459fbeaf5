"""Proxies: the whole URL for http, a tunnel for https, and their password stays with them."""

import errno
import socket
import threading
from base64 import b64encode
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
    """A proxy that can do no more than CONNECT; whatever the name, it is on loopback."""
    received = peer.request()
    assert received
    port = int(received.line.split()[1].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as upstream:
        peer.send(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
        back = threading.Thread(target=_pump, args=(upstream, peer.connection))
        back.start()
        _pump(peer.connection, upstream)
        back.join(5)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one side has gone


def with_password(proxy: Server) -> str:
    return proxy.url(host="ann:s3cret@127.0.0.1")


def test_http_through_a_proxy_asks_for_the_whole_url(serve: Serve) -> None:
    """The name is the proxy's to look up; the origin's Host is in it."""
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
    """TLS is the origin's, and the proxy's password is not for it."""
    proxy = serve(tunnel)
    origin = serve(always(http_response(b"inside")), context=authority.context("model.invalid"))

    result = run(
        origin.url("/a", host="model.invalid"), proxy=with_password(proxy), tls=authority.tls
    )

    assert reason(result) is None
    assert result.size == len(b"inside")
    (asked,) = proxy.requests
    assert asked.line == f"CONNECT model.invalid:{origin.port} HTTP/1.1"
    assert asked.header("host") == f"model.invalid:{origin.port}"
    assert asked.header("proxy-authorization") == CREDENTIALS
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
    """One CONNECT, many requests."""
    proxy = serve(tunnel)
    origin = serve(always(http_response()), context=authority.context())
    prober = make_prober(origin.url(), proxy=proxy.url(), tls=authority.tls, pool=pool)

    assert [reason(run_scheduled(prober)) for _ in range(3)] == [None] * 3
    assert len(proxy.requests) == 1
    assert len(origin.requests) == 3


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_is_proxy(scheme: str) -> None:
    """Nothing is said about the model."""
    result = run(f"{scheme}://model.invalid/", proxy=f"http://127.0.0.1:{free_port()}")

    assert reason(result) is Reason.PROXY
    assert "127.0.0.1" in detail(result)


def test_a_proxy_of_unknown_name_is_proxy() -> None:
    """Its name is looked up, the model's is not."""

    def unknown(*_: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    result = run("http://127.0.0.1/", proxy="http://proxy.invalid:1", getaddrinfo=unknown)

    assert reason(result) is Reason.PROXY
    assert "proxy.invalid" in detail(result)


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        (errno.EHOSTUNREACH, Reason.PROXY),
        (errno.ENETUNREACH, Reason.PROXY),
        (errno.EMFILE, Reason.INTERNAL),
    ],
)
def test_a_proxy_that_is_unreachable_is_proxy(
    monkeypatch: pytest.MonkeyPatch, number: int, wanted: Reason
) -> None:
    """Injected, as a sandbox has a route to anywhere; our own fault stays ours."""

    def connect(*_: Any) -> None:
        raise OSError(number, "no way")

    monkeypatch.setattr(TimedSocket, "connect_within", connect)

    assert reason(run("https://model.invalid/", proxy="http://192.0.2.1:1")) is wanted


@pytest.mark.parametrize(
    "reply",
    [
        http_response(b"", status="407 Proxy Authentication Required"),
        http_response(b"", status="502 Bad Gateway"),
        http_response(b"", "Location: /", status="302 Found"),
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Half",
        b"",
    ],
)
def test_a_tunnel_that_is_refused_is_proxy(serve: Serve, reply: bytes) -> None:
    """By a status, by garbage, by hanging up."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(reply)

    result = run("https://s3cret:s3cret@model.invalid/", proxy=with_password(serve(script)))

    assert reason(result) is Reason.PROXY
    assert "s3cret" not in detail(result)
    assert result.status is None


def test_a_tunnel_that_is_reset_is_proxy(serve: Serve) -> None:
    """RST in the place of an answer."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.reset()

    assert reason(run("https://model.invalid/", proxy=serve(script).url())) is Reason.PROXY


def test_a_proxy_that_is_silent_is_a_connect_timeout(serve: Serve) -> None:
    """The deadline strikes while the way to the server is made."""
    result = run("https://model.invalid/", proxy=serve(never_respond).url(), timeout="300ms")

    assert reason(result) is Reason.CONNECT_TIMEOUT


def test_a_forbidden_proxy_is_denied(serve: Serve) -> None:
    """The policy is about what we connect to."""
    proxy = serve(always(http_response()))

    result = run("http://model.invalid/", proxy=proxy.url(), networks={"deny": ["127.0.0.0/8"]})

    assert reason(result) is Reason.DENIED
    assert proxy.connections == 0


def test_the_password_of_a_proxy_may_change(serve: Serve) -> None:
    """It is read anew like every secret."""
    proxy = serve(always(http_response()))
    environ = {"PW": "one"}
    url = proxy.url(host="ann:${env:PW}@127.0.0.1")
    prober = make_prober("http://model.invalid/", proxy=url, environ=environ)
    prober.run()
    environ["PW"] = "two"
    prober.run()

    sent = [request.header("proxy-authorization") for request in proxy.requests]
    assert sent == ["Basic " + b64encode(f"ann:{pw}".encode()).decode() for pw in ("one", "two")]
