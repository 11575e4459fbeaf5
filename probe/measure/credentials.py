"""What of a request tells the server who is asking, wherever it stands and whoever wrote it."""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from requests import PreparedRequest

CREDENTIALS = re.compile(
    "auth|cookie|credential|key|passw|secret|session|^sig$|signature|token", re.IGNORECASE
)
"""Names of headers, of parameters of a query and of keys in JSON."""

LONG = 8
"""Characters from which on a word is more likely a key than a word."""

_TOKEN = re.compile(rf"[^\s;,=]{{{LONG},}}")


def of_request(request: PreparedRequest) -> Iterator[str]:
    """Those in headers and URL."""
    for name, value in request.headers.items():
        if CREDENTIALS.search(name):
            yield from of_header(str(value))
    parts = urlsplit(request.url or "")
    yield from of_user(parts)
    yield from of_query(parts.query)


def of_query(query: str) -> Iterator[str]:
    """Nobody is shown a query, so nothing in it that is long enough for a secret."""
    for name, value in [("", query), *parse_qsl(query)]:
        if len(value) >= LONG or CREDENTIALS.search(name):
            yield value


def of_header(value: str) -> Iterator[str]:
    """The value, its longer words, and what Basic authentication (RFC 7617) says with it."""
    yield value
    yield from _TOKEN.findall(value)
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() == "basic":
        try:
            pair = b64decode(encoded).decode()
        except ValueError:
            return
        yield from (pair, pair.partition(":")[2])


def of_user(url: SplitResult) -> Iterator[str]:
    """The password of a URL; and its user, where that may be a key: `https://KEY@host/`."""
    user, password = url.username or "", url.password or ""
    yield from (password, unquote(password))
    if not password or len(user) >= LONG:
        yield from (user, unquote(user))


def of_json(value: Any) -> Iterator[str]:
    """The texts that have such names."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if isinstance(item, str) and CREDENTIALS.search(name):
                yield item
            yield from of_json(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from of_json(item)
