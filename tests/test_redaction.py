"""Redaction of secrets in all encodings that software may give them."""

import json
import string
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from html import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requests.utils import requote_uri

from probe.redaction import MAX_SECRET_CHARS, MAX_UNMASKED_CHARS, Redactor

SECRET = """ab/cd+ef&gh=="i'j<k>`\\é"""


def in_json(text: str, *, ensure_ascii: bool = False) -> str:
    return json.dumps(text, ensure_ascii=ensure_ascii)[1:-1]


def escape_with(characters: str, form: str) -> Callable[[str], str]:
    """Return a function that writes `characters` in a form such as `&#{};`."""
    return lambda text: "".join(form.format(ord(c)) if c in characters else c for c in text)


def chain(*steps: Callable[[str], str]) -> Callable[[str], str]:
    """Return a function that applies `steps` one after the other."""

    def encode(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return encode


def php(text: str) -> str:
    return in_json(text, ensure_ascii=True).replace("/", "\\/")


def dotnet(text: str) -> str:
    quoted = in_json(text).replace('\\"', "\\u0022")
    return escape_with("<>&+'`é", "\\u{:04X}")(quoted)


def tags(text: str) -> str:
    return escape(text, quote=False)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "Python's JSON": in_json,
    "PHP's JSON": php,
    "Go's JSON": chain(in_json, escape_with("<>&", "\\u{:04x}")),
    "Gson": chain(in_json, escape_with("<>&='", "\\u{:04x}")),
    "PHP's JSON for HTML": chain(in_json, escape_with("<>&", "\\u{:04X}")),
    ".NET's JSON": dotnet,
    "JSON in JSON": chain(in_json, in_json),
    "a path that we send": requote_uri,
    "Python's HTML": escape,
    "HTML's text": tags,
    "PHP's HTML": chain(tags, lambda text: text.replace('"', "&quot;").replace("'", "&#039;")),
    "XML": chain(tags, lambda text: text.replace('"', "&quot;").replace("'", "&apos;")),
    "Jinja": chain(tags, escape_with("\"'", "&#{};")),
    "Go's HTML": chain(tags, escape_with("\"'+", "&#{};")),
    ".NET's HTML": chain(escape, escape_with("+", "&#x{:X};")),
    "OWASP's HTML": chain(escape, escape_with("/=`", "&#x{:X};")),
    "HTML of JSON": chain(in_json, escape),
}


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("SeCrEtToKeN+123", "SECRETTOKEN+123"),
        ("SeCrEtToKeN+123", "sEcReTtOkEn+123"),
        ("SeCrEtToKeN+123", "SECRETTOKEN%2b123"),
        ("Straße-Élan", "STRAßE-éLAN"),
        ("SECRET\N{GREEK CAPITAL LETTER SIGMA}", "SECRET\N{GREEK CAPITAL LETTER SIGMA}X"),
    ],
)
def test_secrets_are_masked_in_any_case(secret: str, text: str) -> None:
    """Servers change the case of headers. The rest of the text keeps its case."""
    redact = Redactor([secret])
    dotted = "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"  # two characters in lower case
    rest = text[len(secret) :] if text.endswith("X") else ""

    assert redact(f"A {dotted} {text} Ab{text}") == f"A {dotted} ***{rest} Ab***{rest}"
    assert redact.redact_prefix(f"Value: {text[:6]}") == "Value: "


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_secret_is_masked_in_each_encoding(encode: Callable[[str], str]) -> None:
    """Nothing of it remains."""
    assert Redactor([SECRET])(f"<{encode(SECRET)}>") == "<***>"


def test_a_large_secret_is_masked_fast() -> None:
    """A secret may have 1 MiB. Encoding all of it would hold the interpreter lock."""
    secret = "".join(f'{n} "é" ' for n in range(150_000))
    redact = Redactor([secret])
    began = time.thread_time()
    assert redact(f"<{secret}>") == "<***>"
    assert time.thread_time() - began < 1

    for encode in ENCODINGS.values():
        assert redact.redact_prefix(
            f"<{encode(secret[: 2 * MAX_SECRET_CHARS])}"[:MAX_SECRET_CHARS]
        ) in ("<", "<***")


@pytest.mark.parametrize(
    ("secrets", "text", "max_chars", "expected"),
    [
        (["abcd1234", "abcd1234efgh5678ijkl"], "key abcd1234efgh5678ijkl and more", 20, "key "),
        (
            ["https://hooks/services/T0001/secret12", "/services/T0001/secret12", "services"],
            "POST https://hooks/services/T0001/secret12",
            29,
            "POST ",
        ),
        (["xxxxxxabcd", "abcdefgh"], "key xxxxxxabcdefgh", 17, "key "),
        (["abcd1234"], "key " + 300 * "abcd", 1000, ""),
    ],
    ids=["begins with another", "contains another", "overlaps another", "many beginnings"],
)
def test_a_truncated_text_ends_without_a_part_of_a_secret(
    secrets: list[str], text: str, max_chars: int, expected: str
) -> None:
    """Also if a secret contains another one, which must not be masked first."""
    assert Redactor(secrets).truncate(text, max_chars) == expected


def test_other_text_is_unchanged() -> None:
    """Also a text that is the beginning of a secret."""
    assert Redactor([SECRET])(SECRET[:-1]) == SECRET[:-1]


@settings(deadline=None)  # the machine may be busy
@given(
    secret=st.text(string.printable, min_size=8, max_size=40),
    before=st.binary(max_size=5),
    after=st.binary(max_size=5),
    encode=st.sampled_from([b64encode, urlsafe_b64encode]),
)
def test_base64_of_a_secret_in_other_bytes(
    secret: str, before: bytes, after: bytes, encode: Callable[[bytes], bytes]
) -> None:
    """At any offset. No complete character of the secret remains."""
    encoded = encode(before + secret.encode() + after).decode()

    masked = Redactor([secret])(encoded)

    assert "***" in masked
    assert len(masked) <= len("***") + (len(before) + len(after) + 4) * 4 / 3 + 4


def test_base64_of_short_secrets_is_not_masked() -> None:
    """So few characters occur in any text."""
    assert Redactor(["short"])(b64encode(b"short").decode()) == b64encode(b"short").decode()


@settings(deadline=None)  # the machine may be busy
@example("Ã¤Ã¶", "äö")
@given(st.text(min_size=MAX_UNMASKED_CHARS + 1, max_size=30), st.text(max_size=60))
def test_masking_does_not_lengthen_a_text(secret: str, text: str) -> None:
    """Callers that truncate the text first rely on it."""
    for original in (text, text + secret):
        assert len(Redactor([secret])(original)) <= len(original)
