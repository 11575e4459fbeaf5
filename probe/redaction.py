"""Stars in the place of secrets, however an answer spells them."""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote, quote_plus

from requests.utils import requote_uri

from probe.credentials import CREDENTIAL_NAME, MIN_KEY_CHARS
from probe.lazy_attribute import lazy_attribute

MASK = "***"
MAX_UNMASKED_CHARS = 3
"""More characters of a secret than these give something of it away; no secret is that short."""
MAX_SECRET_CHARS = 1024
"""Characters of a secret that are looked for in all spellings: no more of an answer is kept, and
for a megabyte it would take ten seconds in which nothing else runs.
"""

_REFERENCE = r"\$\{[^}]*\}"
_NO_REFERENCE = r"\$(?!\{[^}]*\})"
_USER = rf"(?:{_REFERENCE}|{_NO_REFERENCE}|[^/?#$])*@"
_PATH = rf"(?:{_REFERENCE}|{_NO_REFERENCE}|[^?#$])*"
_CONFIG_URL = re.compile(rf"(?:((?:[a-z][a-z0-9+.-]*:)?//)(?:{_USER})?)?({_PATH})", re.IGNORECASE)
_URL = re.compile(r"(?:((?:[a-z][a-z0-9+.-]*:)?//)(?:[^/?#]*@)?)?([^?#]*)", re.IGNORECASE)

_DIGITS = re.compile(r"(?<=%)[0-9A-F]{2}|(?<=\\u)[0-9a-f]{4}")

_TAGS = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_NAMED = {**_TAGS, '"': "&quot;"}
_DECIMAL = {**_TAGS, '"': "&#34;", "'": "&#39;"}
_HEX = {**_NAMED, "'": "&#x27;"}
# Who writes HTML agrees on the tags and not on much else.
_HTML: tuple[Mapping[int, str], ...] = tuple(
    str.maketrans(entities)
    for entities in (
        _TAGS,
        _NAMED,
        {**_NAMED, "'": "&apos;"},  # XML
        {**_NAMED, "'": "&#39;"},  # JavaScript
        {**_NAMED, "'": "&#039;"},  # PHP
        _DECIMAL,  # Jinja, Go's html
        {**_DECIMAL, "+": "&#43;"},  # Go's html/template
        _HEX,  # Python
        {**_HEX, "+": "&#x2B;"},  # .NET
        {**_HEX, "/": "&#x2F;", "=": "&#x3D;", "`": "&#x60;"},  # OWASP's rules
    )
)


def _escaping(characters: str) -> Mapping[int, str]:
    return str.maketrans({one: f"\\u{ord(one):04x}" for one in characters})


# What of JSON is escaped on top of what must be, as it may come to stand in HTML.
_JSON: tuple[Mapping[int, str], ...] = (
    str.maketrans({"/": "\\/"}),  # PHP
    _escaping("<>&"),  # Go
    _escaping("<>&='"),  # Gson
    _escaping("<>&+'`"),  # .NET
)


class Redactor:
    """Hides secrets in what others have said. It is cheap until it has something to hide."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(secret for secret in secrets if len(secret) > MAX_UNMASKED_CHARS)

    def also(self, secrets: Iterable[str]) -> Self:
        """A mask that hides these, too."""
        return type(self)(self._secrets.union(secrets))

    def __call__(self, text: str) -> str:
        for spelling in self._spellings:  # to compile them all would cost more than many searches
            text = text.replace(spelling, MASK)
        return text

    def cut(self, text: str, most: int) -> str:
        """No more than so many characters of a text, and no part of a secret at the cut."""
        # cut first: a search in megabytes would keep the interpreter from whoever measures
        masked = self(text) if len(text) <= most else self.of_beginning(text[:most])
        return masked[:most]

    def of_beginning(self, text: str) -> str:
        """The same of text that was cut, perhaps in the middle of a secret."""
        masked = self(text)
        most = max((_overlap(masked, spelling) for spelling in self._spellings), default=0)
        return masked[: len(masked) - most]

    @lazy_attribute
    def _spellings(self) -> list[str]:
        """The longest first: a secret may be a part of another."""
        found = {
            spelling
            for secret in self._secrets
            for reading in _readings(secret[:MAX_SECRET_CHARS])
            for spelling in _spellings(reading)
            if len(spelling) > MAX_UNMASKED_CHARS
        }
        return sorted(found | self._secrets, key=len, reverse=True)


NO_REDACTION = Redactor()


def redact_json(value: Any) -> Any:
    """JSON with stars for all that is named like a credential."""
    if isinstance(value, Mapping):
        return {
            name: MASK if CREDENTIAL_NAME.search(name) else redact_json(item)
            for name, item in value.items()
        }
    return [redact_json(item) for item in value] if isinstance(value, list) else value


def redact_url(url: str) -> str:
    """Return `url` without user, password, query and fragment."""
    return _without_secret_parts(_URL, url)


def redact_config_url(url: str) -> str:
    """Return `url` as a config has it, without user, password, query and fragment.

    References (`${env:NAME}`) are not resolved. The pattern is slower than that of `redact_url`:
    use it for URLs of the config only.
    """
    return _without_secret_parts(_CONFIG_URL, url)


def _without_secret_parts(pattern: re.Pattern[str], url: str) -> str:
    match = pattern.match(url)
    return f"{match[1] or ''}{match[2]}" if match else ""


def redact_location(name: str, value: str) -> str:
    """A header's value; of one that leads somewhere without the query, in which signed links carry
    their signature.
    """
    return redact_url(value) if name.lower().endswith("location") else value


def _readings(secret: str) -> Iterator[str]:
    """As it is, and as its bytes are read by who takes UTF-8 for Latin-1 or the other way round."""
    yield secret
    if not secret.isascii():
        yield secret.encode("utf-8", "replace").decode("latin-1")
        yield secret.encode("latin-1", "replace").decode("utf-8", "replace")


def _spellings(secret: str) -> Iterator[str]:
    """As JSON (also within JSON), HTML, URLs, forms, base64 and Python's messages write it."""
    as_json = _in_json(secret)
    in_json_in_json = [again for once in as_json for again in _in_json(once)]
    for text in (secret, *as_json, *in_json_in_json):
        yield text
        yield from map(text.translate, _HTML)
    for text in as_json:
        for escaped in (text, *map(text.translate, _JSON)):
            escaped_quotes = escaped.replace('\\"', "\\u0022")
            yield from (escaped, escaped_quotes, *map(_other_case, (escaped, escaped_quotes)))
    sendable = secret.encode(errors="replace")
    sent = requote_uri(secret)  # by us, in a path
    for in_url in (quote(sendable, ""), quote(sendable), quote_plus(sendable), sent):
        yield from (in_url, _other_case(in_url))
    for text in (secret, *as_json):
        yield from _in_python(text)
    if len(secret) >= MIN_KEY_CHARS:
        yield from _in_base64(sendable)


def _other_case(text: str) -> str:
    """With the digits of escapes in lower case for upper, or the other way round."""
    return _DIGITS.sub(lambda found: found[0].swapcase(), text)


def _in_base64(secret: bytes) -> Iterator[str]:
    """The characters that are the same wherever in the encoded bytes the secret stands."""
    for before in range(3):
        bits = 8 * (before + len(secret))
        encoded = b64encode(bytes(before) + secret).decode()[-(-8 * before // 6) : bits // 6]
        yield from (encoded, encoded.replace("+", "-").replace("/", "_"))


def _in_python(text: str) -> Iterator[str]:
    """As `repr` writes it, by itself and in a longer text that has both kinds of quotes."""
    yield repr(text)[1:-1]
    yield repr(f'{text}"')[1:-2]
    as_bytes = text.encode(errors="replace")
    yield repr(as_bytes)[2:-1]
    yield repr(as_bytes + b'"')[2:-2]


def _in_json(text: str) -> list[str]:
    return [json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]


def _overlap(text: str, secret: str) -> int:
    """How many characters at the end of a text begin a secret, if so many tell anything."""
    longest = min(len(text), len(secret) - 1)
    return next((n for n in range(longest, MAX_UNMASKED_CHARS, -1) if text.endswith(secret[:n])), 0)
