"""TLS of the HTTP server: the context for a web config, and the session of one connection."""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from probe.config.tls import SSL_VERSIONS, load_ca_certificates, load_cert_chain
from probe.server.web_settings import CipherSuite, ClientAuth, TlsServer

_VERIFY_MODES = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}
_OPENSSL_NAMES = {
    CipherSuite.ECDSA_AES_128: "ECDHE-ECDSA-AES128-GCM-SHA256",
    CipherSuite.ECDSA_AES_256: "ECDHE-ECDSA-AES256-GCM-SHA384",
    CipherSuite.ECDSA_CHACHA: "ECDHE-ECDSA-CHACHA20-POLY1305",
    CipherSuite.RSA_AES_128: "ECDHE-RSA-AES128-GCM-SHA256",
    CipherSuite.RSA_AES_256: "ECDHE-RSA-AES256-GCM-SHA384",
    CipherSuite.RSA_CHACHA: "ECDHE-RSA-CHACHA20-POLY1305",
}

# The largest plaintext of one record (RFC 8446, 5.1).
MAX_TLS_RECORD_BYTES = 16 * 1024


def server_ssl_context(tls: TlsServer) -> ssl.SSLContext:
    """Return the context for `tls`; raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = SSL_VERSIONS[tls.min_version]
    context.maximum_version = SSL_VERSIONS[tls.max_version]
    context.set_alpn_protocols(["http/1.1"])
    if tls.cipher_suites:
        context.set_ciphers(":".join(_OPENSSL_NAMES[suite] for suite in tls.cipher_suites))
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    load_cert_chain(context, tls.cert_file, tls.key_file)
    if tls.client_ca_file:
        load_ca_certificates(context, tls.client_ca_file, key="client_ca_file")
    context.verify_mode = _VERIFY_MODES[tls.client_auth_type]
    return context


class TlsSession:
    """The server side of one TLS connection, in memory (`ssl.SSLObject`).

    asyncio's own TLS allocates a buffer of 256 KiB for each connection, 32 MiB for 128 clients,
    from the first byte of a handshake that may never continue.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self.established = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def decrypt(self, data: bytes) -> tuple[bytes, bool]:
        """Return the plaintext of received `data`, and whether the client has ended the session.

        Continues the handshake first. Raises ssl.SSLError. Call `pending` afterwards in any case:
        the handshake, and the alert for an error, have to be sent.
        """
        self._incoming.write(data)
        plaintext = bytearray()
        try:
            if not self.established:
                self._tls.do_handshake()
                self.established = True
            while record := self._tls.read(MAX_TLS_RECORD_BYTES):
                plaintext += record
        except ssl.SSLWantReadError:
            return bytes(plaintext), False
        return bytes(plaintext), True

    def encrypt(self, data: bytes | bytearray | memoryview) -> bytes:
        """Return the bytes to send for a plaintext."""
        self._tls.write(data)
        return self.pending()

    def close(self) -> bytes:
        """Return the bytes to send that end the session. Does not wait for the client's."""
        with suppress(ssl.SSLError):  # the client has not ended it, or the handshake has failed
            self._tls.unwrap()
        return self.pending()

    def pending(self) -> bytes:
        """Return the bytes to send that previous calls have produced."""
        return self._outgoing.read()

    def peer_certificate(self) -> Mapping[str, Any]:
        """Return the client's verified certificate; empty if it has sent none."""
        return self._tls.getpeercert() or {}
