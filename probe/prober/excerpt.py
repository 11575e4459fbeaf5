"""Excerpt of the response to a failed probe: limited in size, without secrets."""

import zlib
from codecs import getincrementaldecoder
from collections.abc import Mapping

from probe.prober.body import START_BYTES
from probe.prober.response import ANY_ZLIB_FORMAT, content_encoding
from probe.redaction import CREDENTIAL_NAME, MASK, Redactor, redact_location
from probe.result import Excerpt

# Characters of the body in an excerpt.
MAX_EXCERPT_BODY_CHARS = 1024

# Characters of all headers of an excerpt together.
MAX_EXCERPT_HEADER_CHARS = 1024


def make_excerpt(headers: Mapping[str, str], body_start: bytes, redactor: Redactor) -> Excerpt:
    """Return the excerpt of a response with `headers` (names in any case).

    `body_start` is the first `START_BYTES` bytes of the body as sent.
    """
    return Excerpt(
        headers=_excerpt_headers(headers, redactor),
        body=_excerpt_body(headers, body_start, redactor),
    )


def _excerpt_headers(headers: Mapping[str, str], redactor: Redactor) -> dict[str, str]:
    excerpt: dict[str, str] = {}
    remaining_chars = MAX_EXCERPT_HEADER_CHARS
    for name, value in headers.items():
        public = MASK if CREDENTIAL_NAME.search(name) else redact_location(name, value)
        remaining_chars -= len(name) + len(public)
        if remaining_chars < 0:
            break
        # After the check of the length: searching for secrets is expensive.
        excerpt[redactor(name)] = redactor(public)
    return excerpt


def _excerpt_body(headers: Mapping[str, str], body_start: bytes, redactor: Redactor) -> str:
    # An incremental decoder drops a character that is cut off at the end.
    decode = getincrementaldecoder("utf-8")("replace").decode
    text = decode(_decompress_start(headers, body_start[:START_BYTES]))
    return redactor.redact_prefix(text)[:MAX_EXCERPT_BODY_CHARS]


def _decompress_start(headers: Mapping[str, str], body_start: bytes) -> bytes:
    """Return the beginning of the body without compression; empty if it is not gzip or zlib."""
    if content_encoding(headers) == "identity":
        return body_start
    try:
        return zlib.decompressobj(ANY_ZLIB_FORMAT).decompress(body_start, START_BYTES)
    except zlib.error:
        return b""
