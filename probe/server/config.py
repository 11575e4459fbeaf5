"""What a web config can say: as much of the format of exporter-toolkit as is honoured."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ValidationInfo, field_validator

from probe.config import types
from probe.config.schema import ConfigModel, TlsVersion, config_key

MAX_BCRYPT_COST = 16
"""Cost of a bcrypt hash: each step doubles its time, of which 12 takes a quarter of a second."""

_FILE = "not honoured; write it into a file and name that under `{}`"
NOT_HONOURED: Mapping[tuple[str, ...], str] = {
    ("tls_server_config", "cert"): _FILE.format("cert_file"),
    ("tls_server_config", "key"): _FILE.format("key_file"),
    ("tls_server_config", "client_ca"): _FILE.format("client_ca_file"),
    ("tls_server_config", "curve_preferences"): "not honoured; OpenSSL's own are used, remove it",
    ("rate_limit",): "not honoured; failed passwords and /probe are limited already, remove it",
}
"""Keys of the format that would do nothing, and so are refused."""


class ClientAuth(StrEnum):
    """Whether a client shows a certificate. One that is not verified is worth nothing."""

    NONE = "NoClientCert"
    IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRED = "RequireAndVerifyClientCert"


class CipherSuite(StrEnum):
    """Cipher suites of TLS 1.2 by their registered names. Those of TLS 1.3 are not chosen."""

    ECDSA_AES_128 = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    ECDSA_AES_256 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
    ECDSA_CHACHA = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
    RSA_AES_128 = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    RSA_AES_256 = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
    RSA_CHACHA = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"


class FrameOptions(StrEnum):
    """Who may show a page in a frame of his own."""

    DENY = "deny"
    SAMEORIGIN = "sameorigin"


class ContentTypeOptions(StrEnum):
    """Whether a browser may guess a type."""

    NOSNIFF = "nosniff"


def _header(value: Any) -> str:
    written = types.require_text(value)
    if not re.fullmatch("[ -~]+", written):
        raise ValueError("expected the value of a header: plain characters on one line")
    return str(written)


def _user(value: Any) -> str:
    written = types.require_text(value)
    if not written or ":" in written or not written.isprintable():
        raise ValueError("not a user's name: HTTP allows no colon in it, and nothing invisible")
    return str(written)


def _hash(value: Any) -> str:
    written = types.require_text(value)
    found = re.fullmatch(r"\$2[aby]\$([0-9]{2})\$[./\w]{21}[.Oeu][./\w]{31}", written, re.ASCII)
    if found is None:
        raise ValueError("not a bcrypt hash; `htpasswd -nBC 10 NAME` prints one after the colon")
    if not 4 <= int(found[1]) <= MAX_BCRYPT_COST:
        raise ValueError(f"a bcrypt cost of {found[1]}; expected 4 to {MAX_BCRYPT_COST}")
    return str(written)


Header = Annotated[str, *types.scalar(_header, {"type": "string"}, reference=False)]
User = Annotated[str, *types.scalar(_user, {"type": "string"}, reference=False)]
Hash = Annotated[str, *types.scalar(_hash, {"type": "string"}, reference=False)]


class TlsServer(ConfigModel):
    """How the server proves who it is, and whether its clients have to."""

    cert_file: types.PemFile
    key_file: types.PemFile
    client_auth_type: Annotated[ClientAuth, *types.choice(ClientAuth)] = config_key(
        "NoClientCert", "Whether a client has to show a certificate."
    )
    client_ca_file: types.PemFile | None = config_key(
        None, "Certificates (PEM) of the authorities that vouch for clients."
    )
    client_allowed_sans: tuple[types.Text, ...] = config_key(
        (), "If there are any, a client's certificate has one of these names."
    )
    min_version: Annotated[TlsVersion, *types.choice(TlsVersion)] = config_key(
        "TLS12", "Oldest version of TLS that is spoken."
    )
    max_version: Annotated[TlsVersion, *types.choice(TlsVersion)] = config_key(
        "TLS13", "Newest version of TLS that is spoken."
    )
    cipher_suites: tuple[Annotated[CipherSuite, *types.choice(CipherSuite)], ...] = config_key(
        (), "Cipher suites of TLS 1.2, the best one first."
    )
    prefer_server_cipher_suites: types.Boolean = config_key(
        True, "Whether the server's order of cipher suites counts, or the client's."
    )

    @field_validator("client_ca_file")
    @classmethod
    def _goes_with_verifying(cls, value: Any, info: ValidationInfo) -> Any:
        auth = info.data.get("client_auth_type")
        if value is None and auth not in (None, ClientAuth.NONE):
            raise ValueError(f"{auth} needs the authorities to trust; write client_ca_file, too")
        if value is not None and auth is ClientAuth.NONE:
            advice = f"write client_auth_type: {ClientAuth.REQUIRED}, too"
            raise ValueError(f"no client is asked for a certificate; {advice}")
        return value

    @field_validator("client_allowed_sans")
    @classmethod
    def _needs_certificates(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("client_auth_type") in (ClientAuth.NONE, ClientAuth.IF_GIVEN):
            raise ValueError(f"needs client_auth_type: {ClientAuth.REQUIRED}")
        return value

    @field_validator("max_version")
    @classmethod
    def _not_below_min(cls, value: TlsVersion, info: ValidationInfo) -> TlsVersion:
        if value < info.data.get("min_version", value):
            raise ValueError("older than min_version; no version is both")
        return value


class Headers(ConfigModel):
    """Headers of every answer that does not set them itself."""

    csp: Header | None = config_key(None, "What a page may load.", alias="Content-Security-Policy")
    frame: Annotated[FrameOptions, *types.choice(FrameOptions)] | None = config_key(
        None, "Who may frame it.", alias="X-Frame-Options"
    )
    content_type: Annotated[ContentTypeOptions, *types.choice(ContentTypeOptions)] | None = (
        config_key(None, "Whether its type may be guessed.", alias="X-Content-Type-Options")
    )
    xss: Header | None = config_key(None, "Of old browsers.", alias="X-XSS-Protection")
    hsts: Header | None = config_key(
        None, "Use HTTPS from now on.", alias="Strict-Transport-Security"
    )


class HttpServer(ConfigModel):
    """How HTTP is spoken."""

    http2: types.Boolean = config_key(False, "Never: it can only be said that it is not wanted.")
    headers: Headers = config_key({}, "Headers of every answer.")

    @field_validator("http2")
    @classmethod
    def _is_not_spoken(cls, value: bool) -> bool:
        if value:
            raise ValueError("HTTP/2 is not spoken here; write false, or remove the key")
        return value


class WebSettings(ConfigModel):
    """A whole web config; an empty one is HTTP without TLS, for everybody."""

    tls_server_config: TlsServer | None = config_key(None, "Speak TLS, and how.")
    http_server_config: HttpServer = config_key({}, "How HTTP is spoken.")
    basic_auth_users: Mapping[User, Hash] = config_key(
        {}, "Users and the bcrypt hashes of their passwords; without any, everybody.", repr=False
    )
