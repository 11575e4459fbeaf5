"""Request of a probe: built once, and again when a secret in it has changed."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests

from probe import __version__
from probe.config.choices import ConnectionMode
from probe.config.secrets import (
    RecordingSecretSource,
    SecretError,
    Secrets,
    SecretSource,
    resolve_json,
)
from probe.config.settings import Probe
from probe.http import request_secrets
from probe.http.connection import proxy_authorization
from probe.http.request_variables import RequestVariables, has_variables
from probe.http.shared_request import SharedRequest
from probe.redaction import Redactor, redact_config_url
from probe.result import FirstRequest

# Configured headers that are sent to another host, unless they contain a reference. Any other
# header may identify the client.
CROSS_ORIGIN_SAFE_HEADERS = frozenset(
    {"accept", "accept-encoding", "accept-language", "content-type", "user-agent"}
)

USER_AGENT = f"inference-probe/{__version__}"

_INVALID_HEADER_CHAR = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


@dataclass(frozen=True, slots=True)
class _ResolvedConfig:
    """The request's part of the config with the current values of its references."""

    url: str
    proxy: str | None
    headers: tuple[tuple[str, str], ...]
    body: Any
    url_and_header_secrets: frozenset[str]
    """Values of the references in URLs and headers."""
    body_secrets: frozenset[str]
    """Values of the references in the body."""

    @property
    def has_references(self) -> bool:
        return bool(self.url_and_header_secrets or self.body_secrets)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltRequest:
    """A request and its proxy. `redactor` hides the secrets of the request and of `expect`."""

    request: requests.PreparedRequest
    proxy: SplitResult | None
    redactor: Redactor


@dataclass(frozen=True, slots=True, kw_only=True)
class _CachedRequest:
    """The request for `config`. It is built again only if a secret changes."""

    config: _ResolvedConfig
    built: BuiltRequest
    has_variables: bool
    """Whether its body has variables, whose values each run replaces."""


class RequestBuilder:
    """Builds the first request of each run of one probe."""

    def __init__(
        self,
        probe: Probe,
        secrets: Secrets,
        read_file: Callable[[Path], bytes],
        variables: RequestVariables,
    ) -> None:
        """Read the body's file, if there is one. Raises OSError.

        `payloads` of the probe are ignored: each of them needs a builder. `variables` are those of
        the probe, also if it has several builders.
        """
        self._probe = probe
        self._secrets = secrets
        self._file_body = read_file(probe.body_file) if probe.body_file else None
        self._variables = variables
        self._last: _CachedRequest | None = None

    def build(self, seconds_left: Callable[[], float]) -> BuiltRequest:
        """Return the request with the current secrets.

        Raises SecretError if one is unusable, or if a file cannot be read within `seconds_left()`.
        """
        last = self._last
        # A request without references never changes. To resolve it takes 10 µs, 3 % of a run.
        if last is None or last.config.has_references:
            config = self._resolve(self._secrets.with_deadline(seconds_left))
            if last is None or last.config != config:
                last = self._last = self._cached_request(config)
        if last.has_variables:
            request = self._variables.substitute(last.built.request)
            return replace(last.built, request=request)
        return last.built

    def remove_private_headers(self, request: requests.PreparedRequest) -> None:
        """Remove the headers that may identify the client, before a redirect to another host."""
        for name, value in self._probe.headers.items():
            if value.has_references or name.lower() not in CROSS_ORIGIN_SAFE_HEADERS:
                request.headers.pop(name, None)
        request.headers.pop("Authorization", None)  # requests makes one from the URL's user

    def _resolve(self, secrets: SecretSource) -> _ResolvedConfig:
        probe = self._probe
        url_source = RecordingSecretSource(secrets)
        body_source = RecordingSecretSource(secrets)
        return _ResolvedConfig(
            url=probe.url.resolve(url_source),
            proxy=probe.proxy.resolve(url_source) if probe.proxy else None,
            headers=tuple(
                (name, value.resolve(url_source)) for name, value in probe.headers.items()
            ),
            body=(
                probe.body.resolve(body_source)
                if probe.body
                else resolve_json(probe.json_body, body_source)
            ),
            url_and_header_secrets=frozenset(url_source.values),
            body_secrets=frozenset(body_source.values),
        )

    def _cached_request(self, config: _ResolvedConfig) -> _CachedRequest:
        built = self._build_request(config)
        # Files are sent as they are.
        variables = self._file_body is None and has_variables(built.request)
        return _CachedRequest(config=config, built=built, has_variables=variables)

    def _build_request(self, config: _ResolvedConfig) -> BuiltRequest:
        request = self._prepare_request(config)
        proxy = _valid_url(config.proxy, "http") if config.proxy else None
        redactor = Redactor(_find_secrets(config, request, proxy))
        return BuiltRequest(
            request=request,
            proxy=proxy,
            redactor=redactor.with_secrets(self._probe.expect.secrets),
        )

    def _prepare_request(self, config: _ResolvedConfig) -> requests.PreparedRequest:
        probe = self._probe
        _valid_url(config.url, "http", "https")
        text_body = config.body if probe.body else None
        request = _prepared_request(
            probe.method,
            config.url,
            data=text_body if self._file_body is None else self._file_body,
            json=None if probe.body else config.body,
        )
        configured = {name.lower() for name, _ in config.headers}
        for name, value in self._default_headers().items():
            if name.lower() not in configured:
                request.headers[name] = value
        for name, value in config.headers:
            if _INVALID_HEADER_CHAR.search(value):
                raise SecretError(f"the header {name} has a value with an invalid character")
            request.headers[name] = value
        return request

    def _default_headers(self) -> dict[str, str]:
        reuse = self._probe.connection is ConnectionMode.REUSE
        return {
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
            "Connection": "keep-alive" if reuse else "close",
        }


def describe_request(probe: Probe) -> FirstRequest:
    """Return what results tell about the first request of `probe`."""
    has_user_agent = "user-agent" in map(str.lower, probe.headers)
    return FirstRequest(
        method=probe.method,
        # With references instead of their values: the path may contain a secret.
        url=redact_config_url(probe.url.source),
        user_agent=None if has_user_agent else USER_AGENT,
    )


def _find_secrets(
    config: _ResolvedConfig, request: requests.PreparedRequest, proxy: SplitResult | None
) -> Iterator[str]:
    """Yield the secrets of a request that a response may repeat."""
    yield from config.body_secrets
    for value in config.url_and_header_secrets:
        yield from request_secrets.find_reference_secrets(value)
    yield from request_secrets.find_request_secrets(request)
    yield from request_secrets.find_userinfo_secrets(urlsplit(config.url))
    if isinstance(config.body, str):
        yield from request_secrets.find_body_secrets(config.body)
    yield from request_secrets.find_json_secrets(config.body)
    if proxy:
        yield from request_secrets.find_userinfo_secrets(proxy)
        yield from request_secrets.find_header_secrets(proxy_authorization(proxy) or "")


def _prepared_request(method: str, url: str, **body: Any) -> SharedRequest:
    request = SharedRequest()
    try:
        request.prepare(method=method, url=url, **body)
    except requests.RequestException:  # its message quotes the URL
        raise _invalid_url() from None
    return request


def _invalid_url() -> SecretError:
    """Return an error that does not quote the URL. It was valid when the config was read."""
    return SecretError(
        "a value that `url` or `proxy` refers to has changed: the result is not a valid URL"
    )


def _valid_url(url: str, *schemes: str) -> SplitResult:
    """Return the parts of `url`. Raises SecretError unless it is a URL of one of `schemes`."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise _invalid_url()
    return parts
