"""Stars in the place of secrets, however an answer spells them."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from html import escape
from typing import Self
from urllib.parse import quote, quote_plus

MASK = "***"
TELLING = 3
"""More characters of a secret than these give something of it away; no secret is that short."""

_ESCAPE = re.compile("%[0-9A-F]{2}")


class Mask:
    """Hides secrets in what others have said. It is cheap until it has something to hide."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(secret for secret in secrets if len(secret) > TELLING)

    def also(self, secrets: Iterable[str]) -> Self:
        """A mask that hides these, too."""
        return type(self)(self._secrets.union(secrets))

    def __call__(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._secrets else text

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

    @cached_property
    def _spellings(self) -> list[str]:
        """The longest first: a secret may be a part of another."""
        found = {
            spelling
            for secret in self._secrets
            for reading in _readings(secret)
            for spelling in _spellings(reading)
        }
        return sorted(found, key=len, reverse=True)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self._spellings)))


NOTHING_SECRET = Mask()


def _readings(secret: str) -> Iterator[str]:
    """As it is, and as its bytes are read by who takes UTF-8 for Latin-1 or the other way round."""
    yield secret
    if not secret.isascii():
        yield secret.encode("utf-8", "replace").decode("latin-1")
        yield secret.encode("latin-1", "replace").decode("utf-8", "replace")


def _spellings(secret: str) -> Iterator[str]:
    """As JSON (also within JSON), HTML, URLs, forms and Python's messages write it."""
    as_json = [_in_json(secret), _in_json(secret, ensure_ascii=False)]
    for text in (secret, *as_json, *map(_in_json, as_json)):
        yield from (text, escape(text), escape(text, quote=False))
    sendable = secret.encode(errors="replace")
    for in_url in (quote(sendable, ""), quote(sendable), quote_plus(sendable)):
        yield from (in_url, _ESCAPE.sub(lambda found: found[0].lower(), in_url))
    yield repr(secret)[1:-1]


def _in_json(text: str, *, ensure_ascii: bool = True) -> str:
    return json.dumps(text, ensure_ascii=ensure_ascii)[1:-1]


def _overlap(text: str, secret: str) -> int:
    """How many characters at the end of a text begin a secret, if so many tell anything."""
    longest = min(len(text), len(secret) - 1)
    return next((n for n in range(longest, TELLING, -1) if text.endswith(secret[:n])), 0)
