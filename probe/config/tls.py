"""TLS contexts of what the settings say."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from probe.config.schema import Tls, TlsVersion

SSL_VERSIONS = {
    TlsVersion.TLS12: ssl.TLSVersion.TLSv1_2,
    TlsVersion.TLS13: ssl.TLSVersion.TLSv1_3,
}
CA_BUNDLE_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


class TlsError(Exception):
    """Files that make no TLS context. `key` is the setting that names the file, if one does."""

    def __init__(self, key: str | None, message: str) -> None:
        super().__init__(message)
        self.key = key


def client_ssl_context(tls: Tls, environ: Mapping[str, str]) -> ssl.SSLContext:
    """A client's context; raises TlsError. Costs milliseconds: probes with equal Tls share one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = SSL_VERSIONS[tls.min_version]
    context.set_alpn_protocols(["http/1.1"])
    _trust(context, tls, environ)
    if tls.cert_file:
        load_cert_chain(context, tls.cert_file, tls.key_file)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _trust(context: ssl.SSLContext, tls: Tls, environ: Mapping[str, str]) -> None:
    """Trust the configured authorities, those of the environment, or those of certifi."""
    if tls.ca_file:
        return load_ca_certificates(context, tls.ca_file, key="ca_file", name="the file")
    for variable in CA_BUNDLE_VARIABLES:
        if environ.get(variable):
            return load_ca_certificates(
                context, Path(environ[variable]), key=None, name=f"${variable}"
            )
    # requests names the bundle that it would use itself; imported late because it is slow.
    from requests.utils import DEFAULT_CA_BUNDLE_PATH  # noqa: PLC0415

    return load_ca_certificates(
        context, Path(DEFAULT_CA_BUNDLE_PATH), key=None, name="certifi's bundle"
    )


def load_ca_certificates(
    context: ssl.SSLContext, path: Path, *, key: str | None, name: str
) -> None:
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


def load_cert_chain(context: ssl.SSLContext, cert: Path, key: Path | None) -> None:
    """Show a certificate; says whether it or its key is the one that is no good."""
    load_ca_certificates(
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), cert, key="cert_file", name="the file"
    )
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
