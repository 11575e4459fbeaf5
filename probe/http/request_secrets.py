"""Secrets of a request: the values by which the server identifies the client."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from requests import PreparedRequest

from probe.redaction import CREDENTIAL_NAME, MIN_KEY_CHARS

# A larger body is not searched for secrets.
MAX_SEARCHED_BODY_CHARS = 64 * 1024

_TOKEN = re.compile(rf"[^\s;,=]{{{MIN_KEY_CHARS},}}")
_WORD = re.compile(rf"[^\s;,=:/?&@]{{{MIN_KEY_CHARS},}}")


def find_request_secrets(request: PreparedRequest) -> Iterator[str]:
    """Yield the secrets in the headers and the URL of `request`."""
    for name, value in request.headers.items():
        if CREDENTIAL_NAME.search(name):
            yield from find_header_secrets(str(value))
    parts = urlsplit(request.url or "")
    yield from find_userinfo_secrets(parts)
    yield from find_query_secrets(parts.query)


def find_query_secrets(query: str) -> Iterator[str]:
    """Yield the query and each value that is named like a credential or as long as a key.

    No page and no log shows the query of a URL.
    """
    for name, value in [("", query), *parse_qsl(query)]:
        if len(value) >= MIN_KEY_CHARS or CREDENTIAL_NAME.search(name):
            yield value


def find_header_secrets(value: str) -> Iterator[str]:
    """Yield the secrets in the `value` of a header with credentials.

    These are the value, the part after its scheme, its longer words, the values of cookies, and
    user and password of Basic authentication (RFC 7617).
    """
    scheme, _, credentials = value.partition(" ")
    yield from (value, credentials)
    yield from _TOKEN.findall(value)
    for part in value.split(";"):
        yield part.partition("=")[2].strip()
    if scheme.lower() == "basic":
        try:
            pair = b64decode(credentials).decode()
        except ValueError:
            return
        yield from (pair, pair.partition(":")[2])


def find_userinfo_secrets(url: SplitResult) -> Iterator[str]:
    """Yield the password of `url`, and the user if it may be a key: `https://KEY@host/`."""
    user, password = url.username or "", url.password or ""
    yield from (password, unquote(password))
    if not password or len(user) >= MIN_KEY_CHARS:
        yield from (user, unquote(user))


def find_reference_secrets(value: str) -> Iterator[str]:
    """Yield the `value` of a reference in a URL or header, and its parts that may appear alone.

    These are path and host of a URL, and the longer words.
    """
    yield value
    if "://" in value:
        with suppress(ValueError):
            parts = urlsplit(value)
            yield from (parts.path, parts.netloc, parts.hostname or "")
    else:
        yield value.lower()  # error messages show host names in lower case
    yield from _WORD.findall(value)


def find_body_secrets(text: str) -> Iterator[str]:
    """Yield the secrets in a body that is JSON or a form."""
    if len(text) > MAX_SEARCHED_BODY_CHARS:
        return
    try:
        yield from find_json_secrets(json.loads(text))
    except (ValueError, RecursionError):
        yield from (value for name, value in parse_qsl(text) if CREDENTIAL_NAME.search(name))


def find_json_secrets(value: Any, *, is_credential: bool = False) -> Iterator[str]:
    """Yield the strings and longer numbers below keys that are named like a credential.

    `is_credential` says that `value` itself is below such a key.
    """
    if isinstance(value, Mapping):
        for name, item in value.items():
            below_credential = is_credential or bool(CREDENTIAL_NAME.search(name))
            yield from find_json_secrets(item, is_credential=below_credential)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from find_json_secrets(item, is_credential=is_credential)
    # Short numbers are not keys, e.g. `max_tokens: 2048`.
    elif is_credential and (isinstance(value, str) or len(str(value)) >= MIN_KEY_CHARS):
        yield str(value)
