"""Expiry of the certificates of servers."""

import ssl

from urllib3.util.ssltransport import SSLTransport

# Certificates that are kept: the servers behind one name may have several.
MAX_CERTIFICATES = 16


class CertificateExpiries:
    """Expiry of the certificates of one probe. Thread-safe.

    The same few certificates come back with each handshake. To decode one takes 60 µs, 4 % of a run
    with TLS, and to parse its date a lock of the standard library (`_strptime`), for which the
    threads of all probes would queue.
    """

    def __init__(self) -> None:
        # By certificate, and by whether it is that of the configured host.
        self._expiries: dict[tuple[bytes | None, bool], float | None] = {}

    def find(self, stream: SSLTransport, *, same_host: bool) -> float | None:
        """Return the expiry (Unix seconds) of the server's certificate, None if it is not verified.

        Redirect targets may be verified differently than the configured host (`same_host`).
        """
        key = stream.getpeercert(binary_form=True), same_host
        try:
            return self._expiries[key]
        except KeyError:
            expiry = _decode_expiry(stream)
        if len(self._expiries) >= MAX_CERTIFICATES:
            self._expiries.clear()
        self._expiries[key] = expiry
        return expiry


def _decode_expiry(stream: SSLTransport) -> float | None:
    not_after = (stream.getpeercert() or {}).get("notAfter")
    return ssl.cert_time_to_seconds(not_after) if isinstance(not_after, str) else None
