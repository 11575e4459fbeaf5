"""The expiry of a certificate is that of `ssl`, also if it is known already."""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from probe.http.certificate_expiry import MAX_CERTIFICATES, CertificateExpiries
from tests.http.conftest import Authority, Serve
from tests.probing import make_prober
from tests.raw_servers import always, http_response

NOT_AFTER = "Nov 29 20:00:00 2030 GMT"


@dataclass
class FakeTransport:
    """Stream with a certificate, which `ssl` decodes only if it was verified."""

    der: bytes
    is_verified: bool = True
    decoded: list[bytes] = field(default_factory=list)

    def getpeercert(self, binary_form: bool = False) -> Any:
        if binary_form:
            return self.der
        self.decoded.append(self.der)
        return {"notAfter": NOT_AFTER} if self.is_verified else {}


def test_a_certificate_is_decoded_once() -> None:
    """For the configured host, and again for redirect targets, which may not be verified."""
    expiries, stream = CertificateExpiries(), FakeTransport(b"a")
    expected = ssl.cert_time_to_seconds(NOT_AFTER)
    assert [expiries.find(stream, same_host=True) for _ in range(2)] == [expected] * 2  # type: ignore[arg-type]
    assert stream.decoded == [b"a"]

    stream.is_verified = False
    assert [expiries.find(stream, same_host=False) for _ in range(2)] == [None] * 2  # type: ignore[arg-type]
    assert stream.decoded == [b"a"] * 2
    assert expiries.find(stream, same_host=True) == expected  # type: ignore[arg-type]


def test_few_certificates_are_kept() -> None:
    """A server may send a new one with each handshake."""
    expiries = CertificateExpiries()
    for number in range(3 * MAX_CERTIFICATES):
        expiries.find(FakeTransport(b"%d" % number), same_host=True)  # type: ignore[arg-type]
        assert len(expiries._expiries) <= MAX_CERTIFICATES


@pytest.mark.parametrize("days", [30, 60])
def test_a_renewed_certificate(serve: Serve, authority: Authority, days: int) -> None:
    """The next run has its expiry."""
    expiries = [
        (datetime.now(UTC) + timedelta(days=count)).replace(microsecond=0) for count in (10, days)
    ]
    contexts = [authority.context(not_after=expiry) for expiry in expiries]
    server = serve(always(http_response()), context=contexts[0])
    prober = make_prober(server.url(), tls=authority.tls)
    found = [prober.run().certificate_not_after for _ in range(2)]
    assert found == [expiries[0].timestamp()] * 2
    contexts[0].sni_callback = lambda connection, *_: setattr(connection, "context", contexts[1])
    assert prober.run().certificate_not_after == expiries[1].timestamp()
