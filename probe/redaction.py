"""Redaction of secrets in text from servers and libraries, also of encoded secrets."""

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import quote, quote_plus

MASK = "***"

# Characters of a message from a library or about a response in a detail.
MAX_MESSAGE_CHARS = 300

# Parts of a secret up to this length are not masked, and secrets up to this length are ignored.
MAX_UNMASKED_CHARS = 3

# Length of the part of a secret that is searched in all encodings. No longer part of a response is
# stored, and encoding a secret of 1 MiB would hold the interpreter lock for ten seconds.
MAX_SECRET_CHARS = 1024

# A text that still ends with a part of a secret after this many cuts is dropped. A hostile server
# could otherwise send hundreds of parts, and the search for each may take 50 ms.
MAX_CUTS = 10

# A word of this length is more likely a key than an ordinary word.
MIN_KEY_CHARS = 8

# Names of headers, query parameters and JSON keys whose value is a credential.
CREDENTIAL_NAME = re.compile(
    "auth|cookie|credential|key|passw|secret|session|^sig$|signature|token", re.IGNORECASE
)

_REFERENCE = r"\$\{[^}]*\}"
_NO_REFERENCE = r"\$(?!\{[^}]*\})"
_USER = rf"(?:{_REFERENCE}|{_NO_REFERENCE}|[^/?#$])*@"
_PATH = rf"(?:{_REFERENCE}|{_NO_REFERENCE}|[^?#$])*"
_CONFIG_URL = re.compile(rf"(?:((?:[a-z][a-z0-9+.-]*:)?//)(?:{_USER})?)?({_PATH})", re.IGNORECASE)
_URL = re.compile(r"(?:((?:[a-z][a-z0-9+.-]*:)?//)(?:[^/?#]*@)?)?([^?#]*)", re.IGNORECASE)

_HEX_DIGITS = re.compile(r"(?<=%)[0-9A-F]{2}|(?<=\\u)[0-9a-f]{4}")

_TAGS = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_NAMED = {**_TAGS, '"': "&quot;"}
_DECIMAL = {**_TAGS, '"': "&#34;", "'": "&#39;"}
_HEX = {**_NAMED, "'": "&#x27;"}

# HTML escaping differs between libraries except for the characters of tags.
_HTML_ESCAPES: tuple[Mapping[int, str], ...] = tuple(
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


def _unicode_escapes(characters: str) -> Mapping[int, str]:
    return str.maketrans({char: f"\\u{ord(char):04x}" for char in characters})


# Characters that JSON libraries escape although JSON does not require it.
_JSON_ESCAPES: tuple[Mapping[int, str], ...] = (
    str.maketrans({"/": "\\/"}),  # PHP
    _unicode_escapes("<>&"),  # Go
    _unicode_escapes("<>&='"),  # Gson
    _unicode_escapes("<>&+'`"),  # .NET
)


class Redactor:
    """Replaces secrets in text by `MASK`, in upper and lower case.

    Encoded forms are computed on first use.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(secret for secret in secrets if len(secret) > MAX_UNMASKED_CHARS)
        self._cached_encoded_secrets: list[str] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Include the encoded forms: computing them needs modules that the worker never imports."""
        self._encoded_secrets()
        return self.__dict__

    def with_secrets(self, secrets: Iterable[str]) -> Self:
        """Return a redactor that also hides `secrets`."""
        return type(self)(self._secrets.union(secrets))

    def __call__(self, text: str) -> str:
        """Return `text` without secrets. It is no longer than `text`."""
        # Compiling all encoded forms to one pattern would cost more than many searches.
        folded = _fold_case(text)
        for encoded in self._encoded_secrets():
            if encoded in folded:
                text = MASK.join(_split(text, folded, encoded))
                folded = _fold_case(text)
        return text

    def truncate(self, text: str, max_chars: int) -> str:
        """Return at most `max_chars` characters of `text`, without a part of a secret at the end.

        The text is cut before it is searched: a search in megabytes would hold the interpreter
        lock and delay the measurements of other probes.
        """
        if len(text) <= max_chars:
            return self(text)[:max_chars]
        return self.redact_prefix(text[:max_chars])[:max_chars]

    def redact_prefix(self, text: str) -> str:
        """Return `text` without secrets, where `text` may end in the middle of a secret."""
        return self._redact_part(text, is_prefix=True)

    def redact_suffix(self, text: str) -> str:
        """Return `text` without secrets, where `text` may begin in the middle of a secret."""
        return self._redact_part(text, is_prefix=False)

    def _redact_part(self, text: str, *, is_prefix: bool) -> str:
        # Cut first, then mask: masking a short secret inside of a longer one would hide the
        # beginning of the longer one. The cut may end in the middle of another secret.
        step = 1 if is_prefix else -1
        for _ in range(MAX_CUTS):
            folded = _fold_case(text)[::step]
            overlap = max(
                (_overlap(folded, encoded[::step]) for encoded in self._encoded_secrets()),
                default=0,
            )
            if not overlap:
                return self(text)
            text = text[:-overlap] if is_prefix else text[overlap:]
        return ""

    def _encoded_secrets(self) -> list[str]:
        """Return all secrets in all encodings, with folded case.

        The longest is the first, because one may contain another.
        """
        if self._cached_encoded_secrets is None:
            encoded_secrets = {
                _fold_case(encoded)
                for secret in self._secrets
                for decoded in _decodings(secret[:MAX_SECRET_CHARS])
                for encoded in _encodings(decoded)
                if len(encoded) > MAX_UNMASKED_CHARS
            }
            self._cached_encoded_secrets = sorted(
                encoded_secrets.union(map(_fold_case, self._secrets)), key=len, reverse=True
            )
        return self._cached_encoded_secrets


NO_REDACTION = Redactor()


def to_one_line(text: str) -> str:
    """Return `text` with a space for each character that is not printable."""
    return "".join(char if char.isprintable() else " " for char in text)


def redact_json(value: Any) -> Any:
    """Return a JSON value in which the values of keys named like credentials are `MASK`."""
    if isinstance(value, Mapping):
        return {
            name: MASK if CREDENTIAL_NAME.search(name) else redact_json(item)
            for name, item in value.items()
        }
    return [redact_json(item) for item in value] if isinstance(value, list) else value


def redact_location(name: str, value: str) -> str:
    """Return the value of the header `name`, without the query of a location: it may be signed."""
    return redact_url(value) if name.lower().endswith("location") else value


def redact_url(url: str) -> str:
    """Return `url` without user, password, query and fragment, in linear time."""
    return _without_secret_parts(_URL, url)


def redact_config_url(url: str) -> str:
    """Return a URL of the config without user, password, query and fragment.

    References (`${env:NAME}`) are not resolved. The pattern is slower than that of `redact_url`:
    use it for URLs of the config only.
    """
    return _without_secret_parts(_CONFIG_URL, url)


def _without_secret_parts(pattern: re.Pattern[str], url: str) -> str:
    match = pattern.match(url)
    return f"{match[1] or ''}{match[2]}" if match else ""


def _fold_case(text: str) -> str:
    """Return `text` in lower case, with the same number of characters."""
    lower = text.lower()
    if len(lower) != len(text):  # The lower case of one character may be two.
        pairs = ((char, char.lower()) for char in text)
        lower = "".join(folded if len(folded) == 1 else char for char, folded in pairs)
    # The lower case of this Greek letter depends on the letters around it.
    return lower.replace("\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK SMALL LETTER SIGMA}")


def _split(text: str, folded: str, separator: str) -> Iterator[str]:
    """Yield the parts of `text` around `separator`, as it is found in `folded`."""
    start = 0
    while (end := folded.find(separator, start)) >= 0:
        yield text[start:end]
        start = end + len(separator)
    yield text[start:]


def _decodings(secret: str) -> Iterator[str]:
    """Yield `secret`, and its bytes decoded as Latin-1 instead of UTF-8 and vice versa."""
    yield secret
    if not secret.isascii():
        yield secret.encode("utf-8", "replace").decode("latin-1")
        yield secret.encode("latin-1", "replace").decode("utf-8", "replace")


def _encodings(secret: str) -> Iterator[str]:
    """Yield `secret` as it is encoded in JSON (also nested), HTML, URLs, forms, base64, `repr`."""
    # Imported here to save memory in the process that evaluates large responses.
    from requests.utils import requote_uri  # noqa: PLC0415

    json_strings = _json_strings(secret)
    nested_json = [nested for text in json_strings for nested in _json_strings(text)]
    for text in (secret, *json_strings, *nested_json):
        yield text
        yield from map(text.translate, _HTML_ESCAPES)
    for text in json_strings:
        for escaped in (text, *map(text.translate, _JSON_ESCAPES)):
            escaped_quotes = escaped.replace('\\"', "\\u0022")
            yield from (escaped, escaped_quotes, *map(_swap_hex_case, (escaped, escaped_quotes)))
    encoded = secret.encode(errors="replace")
    sent_path = requote_uri(secret)  # in the path of a request that this daemon sends
    for in_url in (quote(encoded, ""), quote(encoded), quote_plus(encoded), sent_path):
        yield from (in_url, _swap_hex_case(in_url))
    for text in (secret, *json_strings):
        yield from _python_reprs(text)
    if len(secret) >= MIN_KEY_CHARS:
        yield from _base64_parts(encoded)


def _swap_hex_case(text: str) -> str:
    """Return `text` with the hexadecimal digits of its escapes in the other case."""
    return _HEX_DIGITS.sub(lambda match: match[0].swapcase(), text)


def _base64_parts(secret: bytes) -> Iterator[str]:
    """Yield the base64 characters of `secret` that do not depend on the bytes around it.

    There are three alignments to the groups of three bytes.
    """
    for offset in range(3):
        bits = 8 * (offset + len(secret))
        encoded = b64encode(bytes(offset) + secret).decode()[-(-8 * offset // 6) : bits // 6]
        yield from (encoded, encoded.replace("+", "-").replace("/", "_"))


def _python_reprs(text: str) -> Iterator[str]:
    """Yield `repr` of `text` and of its bytes: alone, and in a text with both kinds of quotes."""
    yield repr(text)[1:-1]
    yield repr(f'{text}"')[1:-2]
    encoded = text.encode(errors="replace")
    yield repr(encoded)[2:-1]
    yield repr(encoded + b'"')[2:-2]


def _json_strings(text: str) -> list[str]:
    return [json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]


def _overlap(text: str, secret: str) -> int:
    """Return the number of characters at the end of `text` that are the beginning of `secret`.

    Overlaps that reveal too little to matter count as 0.
    """
    max_chars = min(len(text), len(secret) - 1)
    lengths = range(max_chars, MAX_UNMASKED_CHARS, -1)
    return next((length for length in lengths if text.endswith(secret[:length])), 0)
