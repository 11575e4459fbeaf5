"""Gzip compression of responses."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

# A higher level makes a scrape slightly smaller and takes three times as long.
GZIP_LEVEL = 1
# Shorter responses are not compressed.
MIN_GZIP_BYTES = 1000


def accepts_gzip(headers: Headers) -> bool:
    """Return whether `Accept-Encoding` allows gzip (RFC 9110, 12.5.3): `q=0` forbids it."""
    value = "".join(",".join(headers.getlist("accept-encoding")).lower().split())
    codings = (item.partition(";q=") for item in value.split(","))
    return any(
        coding == "gzip" and (not weight or bool(weight.strip("0.")))
        for coding, _, weight in codings
    )


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A response that several requests share."""

    body: bytes
    headers: Mapping[str, str]

    def response(self) -> Response:
        """Return a new response, because middleware modifies the headers of a response."""
        return Response(self.body, headers=self.headers)


def encode(response: Response, *, use_gzip: bool) -> CachedResponse:
    """Return the response for a cache, compressed if that is worth it.

    `Compression` does not compress a response again that has a `Content-Encoding`.
    """
    if use_gzip and len(response.body) >= MIN_GZIP_BYTES:
        response.body = gzip.compress(response.body, GZIP_LEVEL, mtime=0)
        response.headers.add_vary_header("Accept-Encoding")
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return CachedResponse(bytes(response.body), dict(response.headers))


class Compression(GZipMiddleware):
    """ASGI middleware that compresses responses. Unlike Starlette's it honours `gzip;q=0`."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, minimum_size=MIN_GZIP_BYTES, compresslevel=GZIP_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [header for header in scope["headers"] if header[0] != b"accept-encoding"]
        if accepts_gzip(Headers(scope=scope)):
            headers.append((b"accept-encoding", b"gzip"))
        await super().__call__({**scope, "headers": headers}, receive, send)
