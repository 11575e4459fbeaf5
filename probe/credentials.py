"""What of a request tells the server who is asking, wherever it stands and whoever wrote it."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from requests import PreparedRequest

CREDENTIAL_NAME = re.compile(
    "auth|cookie|credential|key|passw|secret|session|^sig$|signature|token", re.IGNORECASE
)
"""Names of headers, of parameters of a query and of keys in JSON."""

MIN_KEY_CHARS = 8
"""Characters from which on a word is more likely a key than a word."""

_TOKEN = re.compile(rf"[^\s;,=]{{{MIN_KEY_CHARS},}}")
_WORD = re.compile(rf"[^\s;,=:/?&@]{{{MIN_KEY_CHARS},}}")
_LARGEST = 64 * 1024
"""Characters of a body that is looked into; more is no request of which one knows what it says."""


def request_secrets(request: PreparedRequest) -> Iterator[str]:
    """Those in headers and URL."""
    for name, value in request.headers.items():
        if CREDENTIAL_NAME.search(name):
            yield from header_secrets(str(value))
    parts = urlsplit(request.url or "")
    yield from userinfo_secrets(parts)
    yield from query_secrets(parts.query)


def query_secrets(query: str) -> Iterator[str]:
    """Nobody is shown a query, so nothing in it that is long enough for a secret."""
    for name, value in [("", query), *parse_qsl(query)]:
        if len(value) >= MIN_KEY_CHARS or CREDENTIAL_NAME.search(name):
            yield value


def header_secrets(value: str) -> Iterator[str]:
    """The value, what follows its first word, its longer words and what a cookie holds, and what
    Basic authentication (RFC 7617) says with it.
    """
    scheme, _, rest = value.partition(" ")
    yield from (value, rest)
    yield from _TOKEN.findall(value)
    for part in value.split(";"):
        yield part.partition("=")[2].strip()
    if scheme.lower() == "basic":
        try:
            pair = b64decode(rest).decode()
        except ValueError:
            return
        yield from (pair, pair.partition(":")[2])


def userinfo_secrets(url: SplitResult) -> Iterator[str]:
    """The password of a URL; and its user, where that may be a key: `https://KEY@host/`."""
    user, password = url.username or "", url.password or ""
    yield from (password, unquote(password))
    if not password or len(user) >= MIN_KEY_CHARS:
        yield from (user, unquote(user))


def reference_secrets(value: str) -> Iterator[str]:
    """What a reference in a URL or a header stands for, and the parts that may be told without the
    others: the path and the host of a URL, and the longer words.
    """
    yield value
    if "://" in value:
        with suppress(ValueError):
            parts = urlsplit(value)
            yield from (parts.path, parts.netloc, parts.hostname or "")
    else:
        yield value.lower()  # it may be a host
    yield from _WORD.findall(value)


def body_secrets(text: str) -> Iterator[str]:
    """Of JSON or of a form."""
    if len(text) > _LARGEST:
        return
    try:
        yield from json_secrets(json.loads(text))
    except (ValueError, RecursionError):
        yield from (value for name, value in parse_qsl(text) if CREDENTIAL_NAME.search(name))


def json_secrets(value: Any, *, named: bool = False) -> Iterator[str]:
    """The texts, and the longer numbers, under such names; all of them where `value` is `named`
    so itself.
    """
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from json_secrets(item, named=named or bool(CREDENTIAL_NAME.search(name)))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from json_secrets(item, named=named)
    elif named and (
        isinstance(value, str) or len(str(value)) >= MIN_KEY_CHARS
    ):  # not `max_tokens: 2048`
        yield str(value)
