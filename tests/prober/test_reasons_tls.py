"""Reasons of TLS failures."""

import datetime as dt
import ssl

import pytest
import trustme

from probe.result import Phase, Reason
from tests.http.conftest import Authority, Serve
from tests.probing import detail, fake_getaddrinfo, reason, run, run_median
from tests.raw_servers import Peer, always, handshake_only, http_response, never_respond

pytestmark = pytest.mark.timing

YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


def test_a_trusted_certificate_is_a_success(serve: Serve, authority: Authority) -> None:
    """The expiry of the certificate is reported."""
    server = serve(always(http_response()), context=authority.context())

    result = run(server.url(), tls=authority.tls)

    assert reason(result) is None
    assert Phase.TLS in result.phases
    assert result.certificate_not_after is not None
    assert result.certificate_not_after > YESTERDAY.timestamp()


def test_an_untrusted_authority_is_tls(serve: Serve, authority: Authority) -> None:
    """The certificate is from an unknown authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    result = run(serve(always(http_response()), context=context).url(), tls=authority.tls)

    assert reason(result) is Reason.TLS
    assert "certificate" in detail(result)
    assert set(result.phases) == {Phase.CONNECT, Phase.TLS}


def test_a_wrong_host_name_is_tls(serve: Serve, authority: Authority) -> None:
    """The certificate is for another host."""
    server = serve(always(http_response()), context=authority.context("other.test"))

    result = run(
        server.url(host="model.test"),
        tls=authority.tls,
        getaddrinfo=fake_getaddrinfo(model_test="127.0.0.1"),
    )

    assert reason(result) is Reason.TLS
    assert "model.test" in detail(result)


def test_the_configured_server_name_is_verified(serve: Serve, authority: Authority) -> None:
    """Behind a port forward, the certificate is not for the URL's host."""
    server = serve(always(http_response()), context=authority.context("other.test"))

    assert reason(run(server.url(), tls={**authority.tls, "server_name": "other.test"})) is None


def test_an_expired_certificate_is_tls(serve: Serve, authority: Authority) -> None:
    """The certificate was not renewed."""
    server = serve(always(http_response()), context=authority.context(not_after=YESTERDAY))

    result = run(server.url(), tls=authority.tls)

    assert reason(result) is Reason.TLS
    assert "expired" in detail(result)


def test_insecure_skip_verify(serve: Serve, authority: Authority) -> None:
    """An expired certificate of an unknown authority for another host is accepted."""
    context = authority.context("other.test", not_after=YESTERDAY)

    result = run(
        serve(always(http_response()), context=context).url(), tls={"insecure_skip_verify": True}
    )

    assert reason(result) is None


def test_a_server_without_tls_is_tls(serve: Serve, authority: Authority) -> None:
    """It responds with plain HTTP."""

    def script(peer: Peer) -> None:
        peer.connection.recv(1000)
        peer.send(http_response(status="400 Bad Request"))

    url = serve(script).url().replace("http", "https")

    assert reason(run(url, tls=authority.tls)) is Reason.TLS


def test_an_old_tls_version_is_tls(serve: Serve, authority: Authority) -> None:
    """`min_version: TLS13` and a server that supports TLS 1.2 only."""
    context = authority.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    url = serve(always(http_response()), context=context).url()

    assert reason(run(url, tls={**authority.tls, "min_version": "TLS13"})) is Reason.TLS
    assert reason(run(url, tls=authority.tls)) is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_missing_client_certificate_is_tls(
    serve: Serve, authority: Authority, version: ssl.TLSVersion
) -> None:
    """In TLS 1.3 the server rejects it after the handshake, instead of a response."""
    context = authority.context()
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    authority.authority.configure_trust(context)

    url = serve(handshake_only(context)).url().replace("http", "https")

    assert reason(run(url, tls=authority.tls)) is Reason.TLS


def test_a_client_certificate_is_sent(
    serve: Serve, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A server that requires one accepts the connection."""
    file = tmp_path_factory.mktemp("client") / "client.pem"
    authority.authority.issue_cert("client.test").private_key_and_cert_chain_pem.write_to_path(
        str(file)
    )
    context = authority.context()
    context.verify_mode = ssl.CERT_REQUIRED
    authority.authority.configure_trust(context)
    server = serve(always(http_response()), context=context)

    assert reason(run(server.url(), tls={**authority.tls, "cert_file": str(file)})) is None


def test_a_hanging_handshake_is_a_tls_timeout(serve: Serve, authority: Authority) -> None:
    """A server that accepts the connection and sends nothing."""
    url = serve(never_respond).url().replace("http", "https")

    result = run_median(url, tls=authority.tls, timeout="150ms")

    assert reason(result) is Reason.TLS_TIMEOUT
    assert result.latency == pytest.approx(0.15, abs=0.02)


def test_a_reset_in_the_handshake_is_a_reset(serve: Serve, authority: Authority) -> None:
    """As by a load balancer without backends."""

    def script(peer: Peer) -> None:
        peer.connection.recv(10)
        peer.reset()

    url = serve(script).url().replace("http", "https")

    assert reason(run(url, tls=authority.tls)) is Reason.RESET
