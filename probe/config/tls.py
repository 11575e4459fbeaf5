"""TLS contexts of what the settings say."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from probe.config.schema import Tls, TlsVersion
from probe.server.config import CipherSuite, ClientAuth, TlsServer

_VERSIONS = {
    TlsVersion.TLS12: ssl.TLSVersion.TLSv1_2,
    TlsVersion.TLS13: ssl.TLSVersion.TLSv1_3,
}
_CLIENTS = {
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
BUNDLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


class TlsError(Exception):
    """Files that make no TLS context. `key` is the setting that names the file, if one does."""

    def __init__(self, key: str | None, message: str) -> None:
        super().__init__(message)
        self.key = key


def client_ssl_context(tls: Tls, environ: Mapping[str, str]) -> ssl.SSLContext:
    """A client's context; raises TlsError. Costs milliseconds: probes with equal Tls share one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.set_alpn_protocols(["http/1.1"])
    _trust(context, tls, environ)
    if tls.cert_file:
        _identify(context, tls.cert_file, tls.key_file)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def server_ssl_context(tls: TlsServer) -> ssl.SSLContext:
    """A server's context; raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    context.set_alpn_protocols(["http/1.1"])
    if tls.cipher_suites:
        context.set_ciphers(":".join(_CIPHERS[suite] for suite in tls.cipher_suites))
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    _identify(context, tls.cert_file, tls.key_file)
    if tls.client_ca_file:
        _load(context, tls.client_ca_file, key="client_ca_file", name="the file")
    context.verify_mode = _CLIENTS[tls.client_auth_type]
    return context


def _trust(context: ssl.SSLContext, tls: Tls, environ: Mapping[str, str]) -> None:
    """Trust the configured authorities, those of the environment, or those of certifi."""
    if tls.ca_file:
        return _load(context, tls.ca_file, key="ca_file", name="the file")
    for variable in BUNDLES:
        if environ.get(variable):
            return _load(context, Path(environ[variable]), key=None, name=f"${variable}")
    # requests names the bundle that it would use itself; imported late because it is slow.
    from requests.utils import DEFAULT_CA_BUNDLE_PATH  # noqa: PLC0415

    return _load(context, Path(DEFAULT_CA_BUNDLE_PATH), key=None, name="certifi's bundle")


def _load(context: ssl.SSLContext, path: Path, *, key: str | None, name: str) -> None:
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise TlsError(key, f"no certificates (PEM) in {name}") from None
    except OSError as error:
        raise TlsError(key, f"cannot read {name}: {error.strerror}") from None


class _PassphraseError(Exception):
    """OpenSSL asks for a passphrase; without a callback it would ask on the terminal."""


def _refuse_passphrase() -> str:
    raise _PassphraseError


def _identify(context: ssl.SSLContext, cert: Path, key: Path | None) -> None:
    """Show a certificate; says whether it or its key is the one that is no good."""
    _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), cert, key="cert_file", name="the file")
    holder = "key_file" if key else "cert_file"
    try:
        context.load_cert_chain(cert, key, password=_refuse_passphrase)
    except _PassphraseError:
        message = "the private key needs a passphrase; give one without"
        raise TlsError(holder, message) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            message = "the private key is not that of the certificate"
            raise TlsError(holder, message) from None
        raise TlsError(holder, "no private key (PEM) in the file") from None
    except OSError as error:
        raise TlsError(holder, f"cannot read the file: {error.strerror}") from None
