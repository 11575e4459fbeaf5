"""TLS context of the HTTP server, from the web config."""

import ssl

from probe.config.tls import SSL_VERSIONS, load_ca_certificates, load_cert_chain
from probe.server.config import CipherSuite, ClientAuth, TlsServer

_VERIFY_MODES = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}
_CIPHERS = {
    CipherSuite.ECDSA_AES_128: "ECDHE-ECDSA-AES128-GCM-SHA256",
    CipherSuite.ECDSA_AES_256: "ECDHE-ECDSA-AES256-GCM-SHA384",
    CipherSuite.ECDSA_CHACHA: "ECDHE-ECDSA-CHACHA20-POLY1305",
    CipherSuite.RSA_AES_128: "ECDHE-RSA-AES128-GCM-SHA256",
    CipherSuite.RSA_AES_256: "ECDHE-RSA-AES256-GCM-SHA384",
    CipherSuite.RSA_CHACHA: "ECDHE-RSA-CHACHA20-POLY1305",
}


def server_ssl_context(tls: TlsServer) -> ssl.SSLContext:
    """Return the context for `tls`; raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = SSL_VERSIONS[tls.min_version]
    context.maximum_version = SSL_VERSIONS[tls.max_version]
    context.set_alpn_protocols(["http/1.1"])
    if tls.cipher_suites:
        context.set_ciphers(":".join(_CIPHERS[suite] for suite in tls.cipher_suites))
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    load_cert_chain(context, tls.cert_file, tls.key_file)
    if tls.client_ca_file:
        load_ca_certificates(context, tls.client_ca_file, key="client_ca_file")
    context.verify_mode = _VERIFY_MODES[tls.client_auth_type]
    return context
