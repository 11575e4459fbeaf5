"""Limits for what surrounds the data of a chunked body: sizes, extensions and trailers.

These bytes are not part of the body, so `max_bytes` does not limit them. Parsing them takes time.
"""

from probe.http.errors import ResponseError

# Sizes and line ends of all chunks, in addition to a share of the data. Go allows 16 bytes and
# twice the data for each chunk, and 16 KiB more (net/http/internal/chunked.go). So it accepts any
# number of chunks of one byte, which would be too much work for this parser. These limits accept
# 13,000 chunks of one byte, and any number of chunks of at least 12 bytes.
MAX_FRAMING_BYTES = 64 * 1024
FRAMING_SHARE_OF_DATA = 0.5

# The limit of Node.js (src/node_http_parser.cc).
MAX_EXTENSION_BYTES = 16 * 1024

# Go accepts 4 KiB (net/http/transfer.go), curl 300 KiB (lib/http.h, MAX_HTTP_RESP_HEADER_SIZE).
MAX_TRAILER_BYTES = 16 * 1024

_LINE_END_BYTES = len(b"\r\n")

# The ends of the line with the size of a chunk and of its data.
LINE_ENDS_BYTES = 2 * _LINE_END_BYTES


class ChunkLimits:
    """Counts what surrounds the data of one chunked body. Raises ResponseError over a limit."""

    def __init__(self) -> None:
        self.framing_bytes = 0.0
        """Bytes of sizes and line ends, without the share that the data allows."""
        self._extension_bytes = 0
        self._trailer_bytes = 0

    def add_chunk(self, *, line_bytes: int, extension_bytes: int, data_bytes: int) -> None:
        """Count a chunk, whose line with its size has `line_bytes` including its extensions."""
        self._extension_bytes += extension_bytes
        if self._extension_bytes > MAX_EXTENSION_BYTES:
            raise ResponseError(
                f"the chunk extensions are larger than {MAX_EXTENSION_BYTES // 1024} KiB"
            )
        self.framing_bytes += line_bytes + LINE_ENDS_BYTES - data_bytes * FRAMING_SHARE_OF_DATA
        if self.framing_bytes > MAX_FRAMING_BYTES:
            raise ResponseError(
                "the chunks are too small: their sizes and line ends are larger than"
                f" {MAX_FRAMING_BYTES // 1024} KiB and half of the body"
            )

    def add_trailer(self, line: bytes) -> None:
        """Count a line of the trailers, without its end."""
        self._trailer_bytes += len(line) + _LINE_END_BYTES
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise ResponseError(f"the trailers are larger than {MAX_TRAILER_BYTES // 1024} KiB")
