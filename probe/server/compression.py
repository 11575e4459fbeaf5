"""Answers in gzip, for whoever takes them so."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

GZIP_LEVEL = 1
"""A page of metrics becomes little smaller with more, and takes three times as long."""
MIN_GZIP_BYTES = 1000
"""Bytes that are not worth it."""


def accepts_gzip(headers: Headers) -> bool:
    """Whether a client does, by what it sent (RFC 9110, 12.5.3): with `q=0` it refuses."""
    said = "".join(",".join(headers.getlist("accept-encoding")).lower().split())
    weighed = (one.partition(";q=") for one in said.split(","))
    return any(
        coding == "gzip" and (not weight or bool(weight.strip("0.")))
        for coding, _, weight in weighed
    )


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """An answer for as many as ask for it."""

    body: bytes
    headers: Mapping[str, str]

    def response(self) -> Response:
        """One of its own for each of them: middleware writes into its headers."""
        return Response(self.body, headers=self.headers)


def encode(response: Response, *, in_gzip: bool) -> CachedResponse:
    """The answer, compressed where that pays; `Compression` leaves it as it is then."""
    if in_gzip and len(response.body) >= MIN_GZIP_BYTES:
        response.body = gzip.compress(response.body, GZIP_LEVEL, mtime=0)
        response.headers.add_vary_header("Accept-Encoding")
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return CachedResponse(bytes(response.body), dict(response.headers))


class Compression(GZipMiddleware):
    """For answers that are not encoded yet. Starlette's own takes `gzip;q=0` for a yes."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, minimum_size=MIN_GZIP_BYTES, compresslevel=GZIP_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [one for one in scope["headers"] if one[0] != b"accept-encoding"]
        if accepts_gzip(Headers(scope=scope)):
            headers.append((b"accept-encoding", b"gzip"))
        await super().__call__({**scope, "headers": headers}, receive, send)
