"""Responses that several requests share.

The threat: a client requests large pages on many connections and does not read them. Each piece of
a body is therefore decompressed and sent only after the client has read the piece before, so that
the daemon holds one piece for each client, and one compressed body for all that requested it at
the same time. `Acceptor` limits the memory of all bodies together.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from probe.server.compression import MIN_GZIP_BYTES, CompressedBody, accepts_gzip
from probe.server.connection_protocol import ConnectionProtocol


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A successful response that several requests share."""

    body: CompressedBody
    headers: Mapping[str, str]

    def response(self, request: Request) -> Response:
        """Return the response to `request`, compressed if that is worth it."""
        headers = dict(self.headers)
        if self.body.size < MIN_GZIP_BYTES:
            return Response(b"".join(self.body.plain_pieces()), headers=headers)
        if accepts_gzip(request.headers):
            # `Compression` adds `Vary` to the others, and leaves this one alone.
            headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            return BodyInPieces(self.body, headers, self.body.gzip_size, self.body.gzip_pieces())
        return BodyInPieces(self.body, headers, self.body.size, self.body.plain_pieces())


class BodyInPieces(Response):
    """Sends the `pieces` of `body`, `size` bytes in total.

    It sends each piece after the client has read the one before.
    uvicorn waits in `send` until its buffer is empty.
    """

    def __init__(
        self, body: CompressedBody, headers: Mapping[str, str], size: int, pieces: Iterator[bytes]
    ) -> None:
        super().__init__(headers={**headers, "Content-Length": str(size)})
        self._compressed = body
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        connection: ConnectionProtocol = scope["state"]["connection"]
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        if scope["method"] != "HEAD":
            connection.start_body(self._compressed)
            for message in map(_body_message, self._pieces):
                await send(message)
                message.clear()  # frees the piece
                # uvicorn waits here until the client has read the piece. It does not wait for a
                # fast client, but other requests need the event loop, too.
                await send(_body_message(b""))
                if connection.is_lost:
                    return
                await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _body_message(piece: bytes) -> Message:
    return {"type": "http.response.body", "body": piece, "more_body": True}
