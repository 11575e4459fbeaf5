"""An answer as it came, and what is in its body."""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from probe.lazy_attribute import lazy_attribute
from probe.prober.cpu_budget import CpuBudget

JsonQuery = Callable[[Any, CpuBudget], list[Any]]
"""Finds values in JSON. It raises TimeoutError, and RecursionError as parsing does."""

MAX_GZIP_MEMBERS = 1000
"""Members of a body in gzip: the smallest costs its reader as much as a body of its own."""
_GZIP = b"\x1f\x8b"
_PIECE = 8 * 1024  # what follows a member is copied: all of the body, it would be for each of many


class BodyDecodeError(Exception):
    """A body that is not what it should be, in words."""


@dataclass(frozen=True, kw_only=True)  # no slots: what is read of the body is kept
class ProbeResponse:
    """An answer: the body as it was sent, the names of headers in any case.

    The body is decompressed and parsed by the first who asks, for all of them.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    most: int
    """The largest body (bytes) that decompression may make."""

    @lazy_attribute
    def content(self) -> bytes:
        """The body without its compression. Raises Unreadable."""
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if encoding in ("identity", ""):
            return self.body
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise BodyDecodeError(f"the body is compressed as {encoding!r}, which nobody asked for")
        try:
            return _decompressed(self.body, self.most)
        except zlib.error as error:
            raise BodyDecodeError(f"the body is not {encoding}: {error}") from None

    @lazy_attribute
    def document(self) -> Any:
        """The body's JSON. Raises Unreadable, and RecursionError where it is nested too deeply."""
        try:
            return json.loads(self.content, parse_constant=_refuse)
        except ValueError as error:
            raise BodyDecodeError(f"the body is not JSON: {error}") from None


def _decompressed(body: bytes, most: int) -> bytes:
    """What is in gzip or zlib, by its own header: in all members of it, as other clients read it.
    What follows them and is none is ignored. Raises zlib.error and Unreadable.
    """
    made = bytearray()
    at = 0
    for _ in range(MAX_GZIP_MEMBERS):
        at = _decompress_member(body, at, made, most)
        if not body.startswith(_GZIP, at):
            return bytes(made)
    raise BodyDecodeError(f"the body has more than {MAX_GZIP_MEMBERS} members of gzip")


def _decompress_member(body: bytes, at: int, made: bytearray, most: int) -> int:
    """Add what is in the member that begins at an offset; where it ends."""
    machine = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib
    while not machine.eof:
        piece = body[at : at + _PIECE]
        if not piece:
            raise zlib.error("it ends too early")
        made += machine.decompress(piece, most + 1 - len(made))
        if len(made) > most:
            raise BodyDecodeError(
                f"the body is larger than {most} bytes when decompressed (`max_bytes`)"
            )
        at += len(piece) - len(machine.unused_data)
    return at


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no value of JSON (RFC 8259)")


def compile_query(path: str) -> JsonQuery:
    """What finds the values at a JSONPath (RFC 9535)."""
    from probe.prober.jsonpath import compile_query  # noqa: PLC0415  (memory: few probes need it)

    return compile_query(path)
