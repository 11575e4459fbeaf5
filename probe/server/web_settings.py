"""Settings of the HTTP server, from the web config. They are frozen.

`probe.server.web_config` describes the keys. Its models stay in the process that validates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from probe.config.choices import TlsVersion


class ClientAuth(StrEnum):
    """Whether clients must have a certificate. Modes without verification are not supported."""

    NONE = "NoClientCert"
    IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRED = "RequireAndVerifyClientCert"


class CipherSuite(StrEnum):
    """Cipher suites of TLS 1.2 by their IANA names. Those of TLS 1.3 are not configurable."""

    ECDSA_AES_128 = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    ECDSA_AES_256 = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
    ECDSA_CHACHA = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
    RSA_AES_128 = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    RSA_AES_256 = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
    RSA_CHACHA = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsServer:
    """Certificates and TLS options of the server."""

    cert_file: Path
    key_file: Path
    client_auth_type: ClientAuth
    client_ca_file: Path | None
    client_allowed_sans: tuple[str, ...]
    min_version: TlsVersion
    max_version: TlsVersion
    cipher_suites: tuple[CipherSuite, ...]
    prefer_server_cipher_suites: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpServer:
    """Options of HTTP: headers of each response that does not set them itself."""

    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """A whole web config; an empty one means HTTP without TLS and users."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = field(default_factory=HttpServer)
    basic_auth_users: Mapping[str, str] = field(default_factory=dict, repr=False)
