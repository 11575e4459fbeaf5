"""The request of a probe: prepared once, and again when a secret in it has changed."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests

from probe import __version__
from probe.settings.schema import Connection, Probe
from probe.settings.secrets import SecretError, Secrets, Template, resolve_json

# What tells a server who is asking, by its name, whatever the config wrote it from.
_CREDENTIALS = re.compile(
    "auth|cookie|credential|key|passw|secret|session|signature|token", re.IGNORECASE
)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class _Values:
    """What the config says, with the secrets of this moment in it."""

    url: str
    proxy: str | None
    headers: tuple[tuple[str, str], ...]
    body: Any


class RequestMaker:
    """Makes the first request of each run of a probe."""

    def __init__(self, probe: Probe, secrets: Secrets) -> None:
        """Raises OSError when the body's file cannot be read."""
        self._probe = probe
        self._secrets = secrets
        self._file = probe.body_file.read_bytes() if probe.body_file else None
        self._made: tuple[_Values, requests.PreparedRequest] | None = None

    def make(self) -> tuple[requests.PreparedRequest, SplitResult | None]:
        """The request and the proxy's URL; raises SecretError when a secret is gone or no good."""
        values = self._values()
        made = self._made
        if made is None or made[0] != values:
            made = self._made = (values, self._prepare(values))
        return made[1], _split(values.proxy) if values.proxy else None

    def _values(self) -> _Values:
        probe, secrets = self._probe, self._secrets
        return _Values(
            url=probe.url.resolve(secrets),
            proxy=probe.proxy.resolve(secrets) if probe.proxy else None,
            headers=tuple((name, value.resolve(secrets)) for name, value in probe.headers.items()),
            body=probe.body.resolve(secrets)
            if probe.body
            else resolve_json(probe.json_body, secrets),
        )

    def _prepare(self, values: _Values) -> requests.PreparedRequest:
        probe = self._probe
        _split(values.url)
        keep = probe.connection is Connection.REUSE
        ours = {
            "User-Agent": f"inference-probe/{__version__}",
            "Accept": "*/*",
            "Connection": "keep-alive" if keep else "close",
        }
        request = requests.Request(
            probe.method,
            values.url,
            data=self._file if self._file is not None else values.body if probe.body else None,
            json=None if probe.body else values.body,
        ).prepare()
        written = {name.lower() for name, _ in values.headers}
        for name, value in ours.items():
            if name.lower() not in written:
                request.headers[name] = value
        for name, value in values.headers:
            if _CONTROLS.search(value):
                raise SecretError(f"the header {name} has line breaks or control characters by now")
            request.headers[name] = value
        return request

    def strip(self, request: requests.PreparedRequest) -> None:
        """Take out of a request to another host whatever would tell it a secret."""
        for name, value in self._probe.headers.items():
            if value.is_secret or _CREDENTIALS.search(name):
                request.headers.pop(name, None)
        request.headers.pop("Authorization", None)  # also made from a user in the URL
        request.headers.pop("Host", None)  # that of the host that was left

    def body_is_secret(self) -> bool:
        """Whether the body holds anything that came from the environment or a file of secrets."""
        return _holds_secret(self._probe.body) or _holds_secret(self._probe.json_body)


def _split(url: str) -> SplitResult:
    """Raises SecretError, which does not show the URL: it was one when the config was read."""
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise SecretError("a value that `url` or `proxy` refers to has changed: it is no URL now")
    return parts


def _holds_secret(value: Any) -> bool:
    if isinstance(value, Template):
        return value.is_secret
    if isinstance(value, dict):
        return any(map(_holds_secret, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_secret, value))
    return False
