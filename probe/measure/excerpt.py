"""What is kept of the answer to a probe that failed: little of it, and nothing secret."""

import zlib
from codecs import getincrementaldecoder
from collections.abc import Mapping

from probe.measure.credentials import CREDENTIALS
from probe.measure.masking import MASK, Mask, without_signature
from probe.vocabulary import Excerpt

BODY = 1024
"""Characters that are kept of the body, and bytes of it that must be at hand for that."""
HEADERS = 1024
"""Characters that are kept of all headers together."""


def make_excerpt(headers: Mapping[str, str], beginning: bytes, mask: Mask) -> Excerpt:
    """The excerpt of an answer with these headers, their names in any case, and these first bytes
    of the body as it was sent.
    """
    return Excerpt(headers=_headers(headers, mask), body=_body(headers, beginning, mask))


def _headers(headers: Mapping[str, str], mask: Mask) -> dict[str, str]:
    kept: dict[str, str] = {}
    room = HEADERS
    for name, value in headers.items():
        told = _told(name, value)
        room -= len(name) + len(told)
        if room < 0:
            break
        kept[mask(name)] = mask(told)  # only here: the search takes its time
    return kept


def _told(name: str, value: str) -> str:
    return MASK if CREDENTIALS.search(name) else without_signature(name, value)


def _body(headers: Mapping[str, str], beginning: bytes, mask: Mask) -> str:
    # a character that the cut went through is left out
    text = getincrementaldecoder("utf-8")("replace").decode(_plain(headers, beginning[:BODY]))
    return mask.of_beginning(text)[:BODY]


def _plain(headers: Mapping[str, str], beginning: bytes) -> bytes:
    """The beginning without its compression, as far as that can be undone."""
    if headers.get("content-encoding", "identity").strip().lower() in ("identity", ""):
        return beginning
    try:
        machine = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by its own header
        return machine.decompress(beginning, BODY)
    except zlib.error:
        return b""
