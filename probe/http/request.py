"""The request of a probe: prepared once, and again when a secret in it has changed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests

from probe import __version__, credentials
from probe.config.schema import ConnectionMode, Probe
from probe.config.secrets import RecordingResolver, SecretError, Secrets, resolve_json
from probe.http.connection import proxy_authorization
from probe.redaction import Redactor

CROSS_ORIGIN_SAFE_HEADERS = frozenset(
    {"accept", "accept-encoding", "accept-language", "content-type", "user-agent"}
)
"""Headers of the config that go along to another host, unless they hold a reference. Of all others
nobody knows what they tell it.
"""

_NO_HEADER = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


@dataclass(frozen=True, slots=True)
class _Said:
    """What the config says, with the secrets of this moment in it."""

    url: str
    proxy: str | None
    headers: tuple[tuple[str, str], ...]
    body: Any
    addressed: frozenset[str]
    """What the references in URLs and headers stand for."""
    contained: frozenset[str]
    """What those in the body stand for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltRequest:
    """A request, the URL of the proxy that it goes through, and what hides the secrets in it and
    in what is expected of the answer.
    """

    request: requests.PreparedRequest
    proxy: SplitResult | None
    mask: Redactor


class RequestBuilder:
    """Makes the first request of each run of a probe."""

    def __init__(self, probe: Probe, secrets: Secrets) -> None:
        """Raises OSError when the body's file cannot be read."""
        self._probe = probe
        self._secrets = secrets
        self._file = probe.body_file.read_bytes() if probe.body_file else None
        self._made: tuple[_Said, BuiltRequest] | None = None

    def make(self) -> BuiltRequest:
        """Raises SecretError when a secret is gone or no good."""
        said = self._said()
        made = self._made
        if made is None or made[0] != said:
            made = self._made = (said, self._prepare(said))
        return made[1]

    def _said(self) -> _Said:
        probe, address, content = (
            self._probe,
            RecordingResolver(self._secrets),
            RecordingResolver(self._secrets),
        )
        return _Said(
            url=probe.url.resolve(address),
            proxy=probe.proxy.resolve(address) if probe.proxy else None,
            headers=tuple((name, value.resolve(address)) for name, value in probe.headers.items()),
            body=probe.body.resolve(content)
            if probe.body
            else resolve_json(probe.json_body, content),
            addressed=frozenset(address.values),
            contained=frozenset(content.values),
        )

    def _prepare(self, said: _Said) -> BuiltRequest:
        request = self._request(said)
        proxy = _split(said.proxy, "http") if said.proxy else None
        mask = Redactor(_secrets(said, request, proxy)).also(self._probe.expect.secrets)
        return BuiltRequest(request=request, proxy=proxy, mask=mask)

    def _request(self, said: _Said) -> requests.PreparedRequest:
        probe = self._probe
        _split(said.url, "http", "https")
        keep = probe.connection is ConnectionMode.REUSE
        ours = {
            "User-Agent": f"inference-probe/{__version__}",
            "Accept": "*/*",
            "Connection": "keep-alive" if keep else "close",
        }
        request = _prepare(
            probe.method,
            said.url,
            data=self._file if self._file is not None else said.body if probe.body else None,
            json=None if probe.body else said.body,
        )
        written = {name.lower() for name, _ in said.headers}
        for name, value in ours.items():
            if name.lower() not in written:
                request.headers[name] = value
        for name, value in said.headers:
            if _NO_HEADER.search(value):
                raise SecretError(f"the header {name} has by now what no header can have in it")
            request.headers[name] = value
        return request

    def strip(self, request: requests.PreparedRequest) -> None:
        """Take out of a request to another host whatever could tell it a secret."""
        for name, value in self._probe.headers.items():
            if value.has_references or name.lower() not in CROSS_ORIGIN_SAFE_HEADERS:
                request.headers.pop(name, None)
        request.headers.pop("Authorization", None)  # also made from a user in the URL


def _secrets(
    said: _Said, request: requests.PreparedRequest, proxy: SplitResult | None
) -> Iterator[str]:
    """What an answer may say again of its request and nobody else may know."""
    yield from said.contained
    for value in said.addressed:
        yield from credentials.reference_secrets(value)
    yield from credentials.request_secrets(request)
    yield from credentials.userinfo_secrets(urlsplit(said.url))
    if isinstance(said.body, str):
        yield from credentials.body_secrets(said.body)
    yield from credentials.json_secrets(said.body)
    if proxy:
        yield from credentials.userinfo_secrets(proxy)
        yield from credentials.header_secrets(proxy_authorization(proxy) or "")


def _prepare(method: str, url: str, **body: Any) -> requests.PreparedRequest:
    try:
        return requests.Request(method, url, **body).prepare()
    except requests.RequestException:  # which shows it
        raise _no_url() from None


def _no_url() -> SecretError:
    """Does not show the URL: it was one when the config was read."""
    return SecretError("a value that `url` or `proxy` refers to has changed: it is no URL now")


def _split(url: str, *schemes: str) -> SplitResult:
    """Raises SecretError where it is no URL of these schemes."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise _no_url()
    return parts
