"""Details of network errors: the cause in words once, and a remedy."""

import datetime as dt
import socket
import ssl
from typing import Any

import pytest
import trustme

from probe.http.timed_socket import TimedSocket
from probe.result import Reason
from tests.http.conftest import Authority, Serve
from tests.probing import detail, fake_getaddrinfo, make_prober, reason, run
from tests.raw_servers import Peer, always, handshake_only, http_response, once, refusing_port

YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


def test_refused() -> None:
    """The detail names the address on which nothing listens."""
    with refusing_port() as port:
        text = detail(run(f"http://127.0.0.1:{port}/"))
    assert text == f"connection refused, nothing listens on 127.0.0.1:{port}"


def test_refused_by_the_proxy() -> None:
    """The address is that of the proxy."""
    with refusing_port() as port:
        result = run("http://model.invalid/", proxy=f"http://127.0.0.1:{port}")
    assert reason(result) is Reason.PROXY
    assert f"cannot be reached: connection refused, nothing listens on 127.0.0.1:{port}" in detail(
        result
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            socket.EAI_NONAME,
            (
                "the name model.test is unknown; check its spelling, and the name server of this"
                " machine"
            ),
        ),
        (
            socket.EAI_AGAIN,
            "the name model.test could not be looked up: the name server does not respond",
        ),
        (socket.EAI_FAIL, "the name model.test could not be looked up: as the system says"),
    ],
)
def test_lookup(code: int, words: str) -> None:
    """The detail names the host. It has the text of the system for rare errors only."""

    def getaddrinfo(*_: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror(code, "as the system says")

    assert detail(run("http://model.test/", getaddrinfo=getaddrinfo)) == words


def test_no_route(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detail names the address."""

    def connect(*_: Any) -> None:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(TimedSocket, "connect_within", connect)
    text = detail(run("http://[2001:db8::1]:8000/"))
    assert text == "no route to [2001:db8::1]:8000: check networks and firewalls"


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ("self-signed", "the certificate is not trusted: self-signed; set tls.ca_file"),
        ("unknown CA", "the certificate is not trusted: its CA is unknown"),
        ("expired", "the certificate has expired; renew it"),
        ("other host", "the certificate is not valid for 'model.test'; correct the URL, or set"),
    ],
)
def test_certificates(certificate: str, words: str, serve: Serve, authority: Authority) -> None:
    """Each error of verification has its remedy, without the text of OpenSSL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    match certificate:
        case "self-signed":
            self_signed = trustme.CA()
            with (
                self_signed.cert_pem.tempfile() as cert,
                self_signed.private_key_pem.tempfile() as key,
            ):
                context.load_cert_chain(cert, key)
        case "unknown CA":
            trustme.CA().issue_cert("model.test").configure_cert(context)
        case "expired":
            context = authority.context("model.test", not_after=YESTERDAY)
        case "other host":
            context = authority.context("other.test")
    url = serve(always(http_response()), context=context).url(host="model.test")
    result = run(url, tls=authority.tls, getaddrinfo=fake_getaddrinfo(model_test="127.0.0.1"))
    assert reason(result) is Reason.TLS
    assert detail(result).startswith(words)
    assert "(" not in detail(result)


def test_https_to_an_http_port(serve: Serve, authority: Authority) -> None:
    """The remedy is another scheme."""

    def script(peer: Peer) -> None:
        peer.connection.recv(1000)
        peer.send(http_response(status="400 Bad Request"))

    text = detail(run(serve(script).url().replace("http", "https"), tls=authority.tls))
    assert text == "the server does not speak TLS on this port; if it serves HTTP, write http://"


def test_a_client_certificate_is_required(serve: Serve, authority: Authority) -> None:
    """The detail names the keys of the config."""
    context = authority.context()
    context.verify_mode = ssl.CERT_REQUIRED
    authority.authority.configure_trust(context)

    url = serve(handshake_only(context)).url().replace("http", "https")
    text = detail(run(url, tls=authority.tls))
    assert text.startswith("the server requires a client certificate; set tls.cert_file and")


@pytest.mark.parametrize("response", [b"", b"\x15\x03\x01\x00\x02\x02\x46"])
def test_http_to_a_tls_port(response: bytes, serve: Serve) -> None:
    """A server with TLS closes the connection, or sends an alert of TLS."""
    text = detail(run(serve(once(response)).url()))
    assert "if this port speaks TLS, write https://" in text


@pytest.mark.parametrize(
    "response", [b"SSH-2.0\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
def test_no_hint_about_tls(response: bytes, serve: Serve) -> None:
    """There is none for a server that sends something else."""
    assert "TLS" not in detail(run(serve(once(response)).url()))


def test_a_reset_of_a_model_has_no_hint_about_tls(serve: Serve) -> None:
    """A server that has responded in HTTP does not need TLS: it may have crashed."""
    responses = iter([http_response(status="500 Error"), b""])

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(next(responses))

    prober = make_prober(serve(script).url())
    first, second = prober.run(), prober.run()
    assert first.status == 500
    assert "without a response" in detail(second)
    assert "TLS" not in detail(second)


def test_a_reset_with_https_has_no_hint(serve: Serve, authority: Authority) -> None:
    """The connection uses TLS already."""
    url = serve(once(b""), context=authority.context()).url()
    text = detail(run(url, tls=authority.tls))
    assert "without a response" in text
    assert "https" not in text
