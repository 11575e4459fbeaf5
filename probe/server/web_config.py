"""Models of the web config: the supported part of the format of exporter-toolkit."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ValidationInfo, field_validator

from probe.config import types
from probe.config.choices import TlsVersion
from probe.config.config_model import ConfigModel, config_key
from probe.server.web_settings import (
    CipherSuite,
    ClientAuth,
    HttpServer,
    TlsServer,
    WebSettings,
)

# Each step doubles the time of a bcrypt hash; a cost of 12 takes a quarter of a second.
MAX_BCRYPT_COST = 16

_FILE = "not honoured; write it into a file and name that under `{}`"
# Keys of the format that would have no effect, and are therefore rejected.
NOT_HONOURED: Mapping[tuple[str, ...], str] = {
    ("tls_server_config", "cert"): _FILE.format("cert_file"),
    ("tls_server_config", "key"): _FILE.format("key_file"),
    ("tls_server_config", "client_ca"): _FILE.format("client_ca_file"),
    ("tls_server_config", "curve_preferences"): "not honoured; OpenSSL's own are used, remove it",
    ("rate_limit",): "not honoured; failed passwords and /probe are limited already, remove it",
}


class FrameOptions(StrEnum):
    """Sites that may display a page in a frame."""

    DENY = "deny"
    SAMEORIGIN = "sameorigin"


class ContentTypeOptions(StrEnum):
    """Whether a browser may guess the type of a response."""

    NOSNIFF = "nosniff"


def _header(value: Any) -> str:
    text = types.require_text(value)
    if not re.fullmatch("[ -~]+", text):
        raise ValueError("expected the value of a header: plain characters on one line")
    return str(text)


def _user(value: Any) -> str:
    text = types.require_text(value)
    if not text or ":" in text or not text.isprintable():
        raise ValueError("not a user's name: HTTP allows no colon in it, and nothing invisible")
    return str(text)


def _hash(value: Any) -> str:
    text = types.require_text(value)
    match = re.fullmatch(r"\$2[aby]\$([0-9]{2})\$[./\w]{21}[.Oeu][./\w]{31}", text, re.ASCII)
    if match is None:
        raise ValueError("not a bcrypt hash; `htpasswd -nBC 10 NAME` prints one after the colon")
    if not 4 <= int(match[1]) <= MAX_BCRYPT_COST:
        raise ValueError(f"a bcrypt cost of {match[1]}; expected 4 to {MAX_BCRYPT_COST}")
    return str(text)


Header = Annotated[str, *types.scalar(_header, {"type": "string"}, allow_reference=False)]
User = Annotated[str, *types.scalar(_user, {"type": "string"}, allow_reference=False)]
Hash = Annotated[str, *types.scalar(_hash, {"type": "string"}, allow_reference=False)]


class TlsServerModel(ConfigModel):
    """Certificates and TLS options of the server."""

    settings_type = TlsServer

    cert_file: types.PemFile
    key_file: types.PemFile
    client_auth_type: Annotated[ClientAuth, *types.choice(ClientAuth)] = config_key(
        "NoClientCert", "Whether a client must have a certificate."
    )
    client_ca_file: types.PemFile | None = config_key(
        None, "Certificates (PEM) of the CAs that issue client certificates."
    )
    client_allowed_sans: tuple[types.Text, ...] = config_key(
        (), "Names of which a client's certificate must have one; without any, all are accepted."
    )
    min_version: Annotated[TlsVersion, *types.choice(TlsVersion)] = config_key(
        "TLS12", "Oldest accepted version of TLS."
    )
    max_version: Annotated[TlsVersion, *types.choice(TlsVersion)] = config_key(
        "TLS13", "Newest accepted version of TLS."
    )
    cipher_suites: tuple[Annotated[CipherSuite, *types.choice(CipherSuite)], ...] = config_key(
        (), "Cipher suites of TLS 1.2, in order of preference."
    )
    prefer_server_cipher_suites: types.Boolean = config_key(
        True, "Whether the server's order of cipher suites has priority over the client's."
    )

    @field_validator("client_ca_file")
    @classmethod
    def _check_client_ca(cls, value: Any, info: ValidationInfo) -> Any:
        auth = info.data.get("client_auth_type")
        if value is None and auth not in (None, ClientAuth.NONE):
            raise ValueError(f"{auth} needs the authorities to trust; write client_ca_file, too")
        if value is not None and auth is ClientAuth.NONE:
            advice = f"write client_auth_type: {ClientAuth.REQUIRED}, too"
            raise ValueError(f"no client is asked for a certificate; {advice}")
        return value

    @field_validator("client_allowed_sans")
    @classmethod
    def _check_allowed_sans(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.data.get("client_auth_type") in (ClientAuth.NONE, ClientAuth.IF_GIVEN):
            raise ValueError(f"needs client_auth_type: {ClientAuth.REQUIRED}")
        return value

    @field_validator("max_version")
    @classmethod
    def _check_versions(cls, value: TlsVersion, info: ValidationInfo) -> TlsVersion:
        if value < info.data.get("min_version", value):
            raise ValueError("older than min_version; no version is both")
        return value


class HeadersModel(ConfigModel):
    """Headers of each response that does not set them itself."""

    csp: Header | None = config_key(None, "What a page may load.", alias="Content-Security-Policy")
    frame: Annotated[FrameOptions, *types.choice(FrameOptions)] | None = config_key(
        None, "Sites that may display a page in a frame.", alias="X-Frame-Options"
    )
    content_type: Annotated[ContentTypeOptions, *types.choice(ContentTypeOptions)] | None = (
        config_key(
            None,
            "Whether a browser may guess the type of a response.",
            alias="X-Content-Type-Options",
        )
    )
    xss: Header | None = config_key(None, "For old browsers.", alias="X-XSS-Protection")
    hsts: Header | None = config_key(
        None, "Use HTTPS from now on.", alias="Strict-Transport-Security"
    )

    def to_settings(self) -> dict[str, str]:
        """Return the headers that the config sets, by their names."""
        headers = self.model_dump(by_alias=True, exclude_none=True)
        return {name: str(value) for name, value in headers.items()}


class HttpServerModel(ConfigModel):
    """Options of HTTP."""

    settings_type = HttpServer

    http2: types.Boolean = config_key(False, "Only false: HTTP/2 is not supported.")
    headers: HeadersModel = config_key({}, "Headers of each response.")

    @field_validator("http2")
    @classmethod
    def _check_http2(cls, value: bool) -> bool:
        if value:
            raise ValueError("HTTP/2 is not supported; write false, or remove the key")
        return value


class WebSettingsModel(ConfigModel):
    """A whole web config; an empty one means HTTP without TLS and users."""

    settings_type = WebSettings

    tls_server_config: TlsServerModel | None = config_key(
        None, "Options of TLS; without them the server does not use TLS."
    )
    http_server_config: HttpServerModel = config_key({}, "Options of HTTP.")
    basic_auth_users: Mapping[User, Hash] = config_key(
        {},
        "Users and the bcrypt hashes of their passwords; without any, no password is needed.",
        repr=False,
    )
