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

# Stands for the middle of a body.
OMISSION = "\n[...]\n"

# Characters of all headers of an excerpt together.
MAX_EXCERPT_HEADER_CHARS = 1024


def make_excerpt(
    headers: Mapping[str, str],
    body_start: bytes,
    redactor: Redactor,
    *,
    size: int,
    body_end: bytes = b"",
) -> Excerpt:
    """Return the excerpt of a response with `headers` (names in any case).

    `body_start` is the first `START_BYTES` bytes of the body as sent, which has `size` bytes.
    `body_end` is its end, if the excerpt of a longer body shows it as well: the reason why a stream
    fails is in its last events.
    """
    body_start = body_start[:START_BYTES]
    ending = ""
    if body_end and size > START_BYTES and content_encoding(headers) == "identity":
        body_start = body_start[: START_BYTES - len(body_end) - len(OMISSION)]
        ending = OMISSION + redactor.redact_suffix(_decode_end(body_end))
    is_truncated = size > len(body_start)
    if content_encoding(headers) != "identity":
        body_start, is_truncated = _decompress_start(body_start)
    # An incremental decoder drops a character that is cut off at the end.
    text = getincrementaldecoder("utf-8")("replace").decode(body_start)
    return Excerpt(
        headers=_excerpt_headers(headers, redactor),
        body=(redactor.redact_prefix(text) + ending)[:MAX_EXCERPT_BODY_CHARS],
        is_truncated=is_truncated,
    )


def _decode_end(body_end: bytes) -> str:
    """Return the text of the end of a body, without a character that is cut off."""
    first = next((index for index, byte in enumerate(body_end) if byte & 0xC0 != 0x80), 0)
    return body_end[first:].decode(errors="replace")


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


def _decompress_start(body_start: bytes) -> tuple[bytes, bool]:
    """Return the beginning of a compressed body, and whether the body is longer.

    The beginning is empty if the body is neither gzip nor zlib.
    """
    decompressor = zlib.decompressobj(ANY_ZLIB_FORMAT)
    try:
        data = decompressor.decompress(body_start, START_BYTES)
        # The limit may be reached before the checksum, which has no output.
        rest = decompressor.decompress(decompressor.unconsumed_tail, 1)
    except zlib.error:
        return b"", True
    return data, bool(rest) or not decompressor.eof
