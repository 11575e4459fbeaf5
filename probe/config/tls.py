"""TLS contexts of clients, and loading of certificates with errors that name the file at fault."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from probe.config.choices import TlsVersion
from probe.config.errors import TlsError
from probe.config.settings import Tls

SSL_VERSIONS = {
    TlsVersion.TLS12: ssl.TLSVersion.TLSv1_2,
    TlsVersion.TLS13: ssl.TLSVersion.TLSv1_3,
}

# Environment variables that name the default CA bundle. The first one that is set counts.
CA_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


def client_ssl_context(tls: Tls, environ: Mapping[str, str]) -> ssl.SSLContext:
    """Return the context of a client; raise TlsError.

    This takes milliseconds, so probes with equal `tls` should share a context.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = SSL_VERSIONS[tls.min_version]
    context.set_alpn_protocols(["http/1.1"])
    _load_trusted_certificates(context, tls, environ)
    if tls.cert_file:
        load_cert_chain(context, tls.cert_file, tls.key_file)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_trusted_certificates(
    context: ssl.SSLContext, tls: Tls, environ: Mapping[str, str]
) -> None:
    """Load the configured CA certificates, else those of the environment, else those of certifi."""
    if tls.ca_file:
        load_ca_certificates(context, tls.ca_file, key="ca_file")
        return
    for name in CA_BUNDLE_VARIABLES:
        if environ.get(name):
            load_ca_certificates(context, Path(environ[name]), what=f"${name}")
            return
    # requests names the bundle that it would use itself. Imported here because it is slow.
    from requests.utils import DEFAULT_CA_BUNDLE_PATH  # noqa: PLC0415

    load_ca_certificates(context, Path(DEFAULT_CA_BUNDLE_PATH), what="certifi's bundle")


def load_ca_certificates(
    context: ssl.SSLContext, path: Path, *, key: str | None = None, what: str = "the file"
) -> None:
    """Trust the CA certificates of a file or directory.

    Raises TlsError with `key` and a message that calls the file `what`.
    """
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise TlsError(key, f"no certificates (PEM) in {what}") from None
    except OSError as error:
        raise TlsError(key, f"cannot read {what}: {error.strerror}") from None


class _PassphraseError(Exception):
    """OpenSSL needs a passphrase. Without a callback it would ask on the terminal."""


def _refuse_passphrase() -> str:
    raise _PassphraseError


def load_cert_chain(context: ssl.SSLContext, cert: Path, key: Path | None) -> None:
    """Load a certificate and its private key; raise TlsError that names the file at fault."""
    # Load the certificate into a temporary context first: load_cert_chain() raises the same error
    # for an invalid certificate and an invalid key.
    load_ca_certificates(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), cert, key="cert_file")
    key_holder = "key_file" if key else "cert_file"
    try:
        context.load_cert_chain(cert, key, password=_refuse_passphrase)
    except _PassphraseError:
        message = "the private key has a passphrase; use a key without one"
        raise TlsError(key_holder, message) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            message = "the private key is not that of the certificate"
            raise TlsError(key_holder, message) from None
        raise TlsError(key_holder, "no private key (PEM) in the file") from None
    except OSError as error:
        raise TlsError(key_holder, f"cannot read the file: {error.strerror}") from None
