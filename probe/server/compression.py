"""Gzip compression of responses."""

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from probe.threads import yield_gil

# A higher level makes a scrape slightly smaller and takes three times as long.
GZIP_LEVEL = 1
# Shorter responses are not compressed.
MIN_GZIP_BYTES = 1000
# Size of a piece of a body before compression, and of a piece that is sent. Deflate looks back 32
# KiB at most, so larger pieces compress a scrape by only a few percent better.
PIECE_BYTES = 16 * 1024

# RFC 1952, 2.3: deflate, no flags, no time, fastest compression, Unix.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\x03"
# CRC and size of the body before compression.
_GZIP_TRAILER = struct.Struct("<II")


@dataclass(frozen=True, slots=True)
class CompressedBody:
    """The body of a response as one gzip stream, in pieces that can be decompressed alone.

    In this form a body that clients do not read takes about a fifteenth of its size, and one body
    serves the clients that accept gzip and those that do not.
    """

    deflated: bytes
    """One deflate stream in one block of memory, which the allocator returns to the system."""
    piece_ends: Sequence[int]
    """Where the pieces end. Each ends with a full flush, so that it refers to no other."""
    gzip_size: int
    """Size of the gzip stream."""
    size: int
    """Size before compression."""
    crc: int

    def gzip_pieces(self) -> Iterator[bytes]:
        """Yield the gzip stream in pieces of PIECE_BYTES, each with many pieces of the body."""
        yield _GZIP_HEADER
        for start in range(0, len(self.deflated), PIECE_BYTES):
            yield self.deflated[start : start + PIECE_BYTES]
        yield _GZIP_TRAILER.pack(self.crc, self.size % 2**32)

    def plain_pieces(self) -> Iterator[bytes]:
        """Yield the body without compression, which is decompressed piece by piece."""
        for start, end in pairwise((0, *self.piece_ends)):
            yield zlib.decompressobj(-zlib.MAX_WBITS).decompress(self.deflated[start:end])


def compress(parts: Iterable[str]) -> CompressedBody:
    """Return the compressed body of the texts `parts`.

    Other threads get the GIL between two pieces. zlib releases it for less time than they need to
    wake up.
    """
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated, piece_ends, size, crc = bytearray(), list[int](), 0, 0
    for piece in yield_gil(_pieces(parts)):
        size += len(piece)
        crc = zlib.crc32(piece, crc)
        deflated += compressor.compress(piece)
        deflated += compressor.flush(zlib.Z_FULL_FLUSH)
        piece_ends.append(len(deflated))
    deflated += compressor.flush()
    piece_ends.append(len(deflated))
    gzip_size = len(_GZIP_HEADER) + len(deflated) + _GZIP_TRAILER.size
    return CompressedBody(bytes(deflated), piece_ends, gzip_size, size, crc)


def _pieces(parts: Iterable[str]) -> Iterator[bytes]:
    """Yield the texts in UTF-8, in pieces of PIECE_BYTES at most."""
    for text in _joined(parts):
        data = text.encode()
        for start in range(0, len(data), PIECE_BYTES):
            yield data[start : start + PIECE_BYTES]


def _joined(parts: Iterable[str]) -> Iterator[str]:
    """Yield the texts, joined to PIECE_BYTES at most: most parts of a scrape are one line."""
    lines: list[str] = []
    size = 0
    for part in parts:
        size += len(part)
        if size > PIECE_BYTES:
            yield "".join(lines)
            lines.clear()
            size = len(part)
        lines.append(part)
    yield "".join(lines)


def accepts_gzip(headers: Headers) -> bool:
    """Return whether `Accept-Encoding` allows gzip (RFC 9110, 12.5.3): `q=0` forbids it."""
    value = "".join(",".join(headers.getlist("accept-encoding")).lower().split())
    codings = (item.partition(";q=") for item in value.split(","))
    return any(
        coding == "gzip" and (not weight or bool(weight.strip("0.")))
        for coding, _, weight in codings
    )


class Compression(GZipMiddleware):
    """ASGI middleware that compresses responses. Unlike Starlette's it honours `gzip;q=0`."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, minimum_size=MIN_GZIP_BYTES, compresslevel=GZIP_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
        if accepts_gzip(Headers(scope=scope)):
            headers.append((b"accept-encoding", b"gzip"))
        await super().__call__({**scope, "headers": headers}, receive, send)
