"""What is kept of the answer to a probe that failed: little of it, and nothing secret."""

import zlib
from codecs import getincrementaldecoder
from collections.abc import Mapping

from probe.credentials import CREDENTIAL_NAME
from probe.redaction import MASK, Redactor, redact_location
from probe.result import Excerpt

MAX_BODY_CHARS = 1024
"""Characters that are kept of the body, and bytes of it that must be at hand for that."""
MAX_HEADER_CHARS = 1024
"""Characters that are kept of all headers together."""


def make_excerpt(headers: Mapping[str, str], beginning: bytes, mask: Redactor) -> Excerpt:
    """The excerpt of an answer with these headers, their names in any case, and these first bytes
    of the body as it was sent.
    """
    return Excerpt(headers=_headers(headers, mask), body=_body(headers, beginning, mask))


def _headers(headers: Mapping[str, str], mask: Redactor) -> dict[str, str]:
    kept: dict[str, str] = {}
    room = MAX_HEADER_CHARS
    for name, value in headers.items():
        told = _told(name, value)
        room -= len(name) + len(told)
        if room < 0:
            break
        kept[mask(name)] = mask(told)  # only here: the search takes its time
    return kept


def _told(name: str, value: str) -> str:
    return MASK if CREDENTIAL_NAME.search(name) else redact_location(name, value)


def _body(headers: Mapping[str, str], beginning: bytes, mask: Redactor) -> str:
    # a character that the cut went through is left out
    text = getincrementaldecoder("utf-8")("replace").decode(
        _plain(headers, beginning[:MAX_BODY_CHARS])
    )
    return mask.of_beginning(text)[:MAX_BODY_CHARS]


def _plain(headers: Mapping[str, str], beginning: bytes) -> bytes:
    """The beginning without its compression, as far as that can be undone."""
    if headers.get("content-encoding", "identity").strip().lower() in ("identity", ""):
        return beginning
    try:
        machine = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by its own header
        return machine.decompress(beginning, MAX_BODY_CHARS)
    except zlib.error:
        return b""
