"""Complete response of an endpoint: status, headers and their numbers, decoded body, JSON."""

import json
import math
import re
import sys
import zlib
from collections.abc import Mapping
from typing import Any

# Each member, even an empty one, needs its own decompressor, which takes time.
MAX_GZIP_MEMBERS = 1000

_GZIP_MAGIC = b"\x1f\x8b"

# zlib copies the input that follows a member. Feeding the whole body would copy it for each member.
_DECOMPRESS_CHUNK_BYTES = 8 * 1024

# zlib's flag for "gzip or zlib, detected by the header".
ANY_ZLIB_FORMAT = zlib.MAX_WBITS | 32

# Python's float() also accepts `1_0`, `infinity` and digits of other scripts.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_MAX_NUMBER_CHARS = 100

# Marks a document that was not parsed yet: None is a JSON value.
_NOT_PARSED: Any = object()


class BodyDecodeError(Exception):
    """The body cannot be decompressed or is not JSON. The message is for users."""


class LocalLimitExceeded(Exception):
    """The evaluation needs more than this process may spend; the worker process repeats it."""


class ProbeResponse:
    """A complete response. `body` is as sent; `headers` has lower-case names.

    The body is decompressed and parsed on first use, and only once. A response belongs to one
    thread, so this needs no lock.
    """

    def __init__(
        self,
        *,
        headers: Mapping[str, str],
        body: bytes | bytearray,
        max_bytes: int,
        affordable_bytes: int | None = None,
    ) -> None:
        """`max_bytes` limits the size of the decompressed body.

        Decompressing or parsing more than `affordable_bytes` raises LocalLimitExceeded.
        """
        self.headers = headers
        self._body = body
        self._max_bytes = max_bytes
        self._affordable_bytes = affordable_bytes
        self._content: bytes | bytearray | None = None
        self._document: Any = _NOT_PARSED

    @property
    def content(self) -> bytes | bytearray:
        """The decompressed body. Raises BodyDecodeError."""
        if self._content is None:
            self._content = self._decode()
        return self._content

    @property
    def document(self) -> Any:
        """The body's JSON. Raises BodyDecodeError, and RecursionError for deeply nested JSON."""
        if self._document is _NOT_PARSED:
            self._document = _parse_json(self.content)
        return self._document

    def _decode(self) -> bytes | bytearray:
        if self._affordable_bytes is not None and len(self._body) > self._affordable_bytes:
            raise LocalLimitExceeded
        encoding = content_encoding(self.headers)
        if encoding == "identity":
            return self._body
        if encoding not in ("gzip", "x-gzip", "deflate"):
            # As sent: if it repeats a secret of the request, its case must be the same.
            sent = self.headers["content-encoding"]
            raise BodyDecodeError(f"the body has the unsupported Content-Encoding {sent!r}")
        try:
            return self._decompress()
        except zlib.error as error:
            raise BodyDecodeError(f"the body is not {encoding}: {error}") from None

    def _decompress(self) -> bytearray:
        if self._affordable_bytes is not None and self._affordable_bytes < self._max_bytes:
            return _decompress(self._body, self._affordable_bytes, LocalLimitExceeded())
        too_long = BodyDecodeError(
            f"the body is larger than {self._max_bytes} bytes when decompressed (`max_bytes`)"
        )
        return _decompress(self._body, self._max_bytes, too_long)


def content_encoding(headers: Mapping[str, str]) -> str:
    """Return the Content-Encoding in lower case, `identity` if the body is not compressed."""
    return headers.get("content-encoding", "").strip().lower() or "identity"


def parse_number(text: str) -> float | None:
    """Return the decimal number that a header has as its value.

    None if it is not a number, or is too large for one (`1e999`).
    """
    text = text.strip()
    if len(text) > _MAX_NUMBER_CHARS or not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return None if math.isinf(number) else number


def json_number(value: Any) -> float | None:
    """Return a JSON number, None for other values. An integer above 1.8e308 is infinite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _decompress(body: bytes | bytearray, max_bytes: int, too_long: Exception) -> bytearray:
    """Return the content of `body` in gzip or zlib format, detected by its header.

    All members of gzip are read and other data after them is ignored, as other clients do.
    Raises zlib.error, BodyDecodeError, and `too_long` for more than `max_bytes`.
    """
    content = bytearray()
    offset = 0
    for _ in range(MAX_GZIP_MEMBERS):
        offset = _decompress_member(body, offset, content, max_bytes)
        if len(content) > max_bytes:
            raise too_long
        if not body.startswith(_GZIP_MAGIC, offset):
            return content
    raise BodyDecodeError(f"the body has more than {MAX_GZIP_MEMBERS} gzip members")


def _decompress_member(
    body: bytes | bytearray, offset: int, content: bytearray, max_bytes: int
) -> int:
    """Append the member at `offset` of `body` to `content`, up to one byte over `max_bytes`.

    Return the offset of its end.
    """
    decompressor = zlib.decompressobj(ANY_ZLIB_FORMAT)
    while not decompressor.eof and len(content) <= max_bytes:
        chunk = body[offset : offset + _DECOMPRESS_CHUNK_BYTES]
        if not chunk:
            raise zlib.error("incomplete data")
        content += decompressor.decompress(chunk, max_bytes + 1 - len(content))
        offset += len(chunk) - len(decompressor.unused_data)
    return offset


def _parse_json(content: bytes | bytearray) -> Any:
    try:
        # As in `json.loads`: UTF-8, UTF-16 or UTF-32, also with a byte order mark.
        text = content.decode(json.detect_encoding(content), "surrogatepass")
        return _DECODER.decode(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BodyDecodeError(f"the body is not JSON: {error}") from None
    except ValueError:  # of `int`, because its time is quadratic
        digits = sys.get_int_max_str_digits()
        raise BodyDecodeError(f"the body has an integer of more than {digits:,} digits") from None


def _reject_constant(constant: str) -> None:
    raise BodyDecodeError(f"the body is not JSON: {constant} is not a JSON value (RFC 8259)")


def _parse_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise BodyDecodeError(f"the body has a number that is too large: {text}")
    return number


# `json.loads` would build one for each body.
_DECODER = json.JSONDecoder(parse_constant=_reject_constant, parse_float=_parse_float)
