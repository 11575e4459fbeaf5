"""The middleware that refuses what is too much: of URL, headers, body, and of `/probe`."""

from collections.abc import Callable
from http import HTTPStatus

import anyio
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from probe.server.error_response import error_response
from probe.server.rate_limiter import RateLimiter, client_address, too_many_requests

MAX_URL_CHARS = 8 * 1024
MAX_HEADER_BYTES = 16 * 1024
"""Bytes of all names and values together."""

ON_DEMAND_PATH = "/probe"
MAX_ON_DEMAND_REQUESTS = 100
"""Requests to `/probe` that wait at once, so that there are always connections for scrapes."""

_STOPPING = PlainTextResponse("stopping\n", HTTPStatus.SERVICE_UNAVAILABLE)
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 1024**2


class Limits:
    """Around an application: its requests are small, have no body, and are not too many."""

    def __init__(self, app: ASGIApp, now: Callable[[], float]) -> None:
        """`now` is a monotonic clock in seconds."""
        self._app = app
        self._probes = RateLimiter(size=100, per_second=10, now=now)
        self._probing: set[anyio.CancelScope] = set()

    def close(self) -> None:
        """Whoever waits for a probe is told to come back: it may take longer than a stop."""
        for waiting in self._probing:
            waiting.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if excess := _excess(scope):
            status, words = excess
            answer = error_response(scope["path"], words, status, {"Connection": "close"})
            return await _refuse(answer, receive, send)
        if scope["path"] == ON_DEMAND_PATH:
            return await self._probe(scope, receive, send)
        return await self._app(scope, receive, send)

    async def _probe(self, scope: Scope, receive: Receive, send: Send) -> None:
        full = len(self._probing) >= MAX_ON_DEMAND_REQUESTS
        seconds = 1 if full else self._probes.take(client_address(scope))
        if seconds:
            busy = too_many_requests(scope, "too many probes are asked for", seconds)
            return await busy(scope, receive, send)
        with anyio.CancelScope() as waiting:
            self._probing.add(waiting)
            try:
                return await self._app(scope, receive, send)
            finally:
                self._probing.remove(waiting)
        return await _STOPPING(scope, receive, send)


def _excess(scope: Scope) -> tuple[HTTPStatus, str] | None:
    headers = scope["headers"]
    if not scope["http_version"].startswith("1."):
        return HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.1 is spoken here"
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_URL_CHARS:
        return HTTPStatus.REQUEST_URI_TOO_LONG, f"the URL is longer than {MAX_URL_CHARS} bytes"
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        message = f"the headers are longer than {MAX_HEADER_BYTES} bytes"
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message
    lengths = [value for name, value in headers if name == b"content-length" and int(value)]
    if lengths or any(name == b"transfer-encoding" for name, _ in headers):
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "no request has a body here; send none"
    return None


async def _refuse(answer: Response, receive: Receive, send: Send) -> None:
    """Answer, read on for a moment, close: a client that still sends would not see the answer."""
    start = {"type": "http.response.start", "status": answer.status_code}
    await send({**start, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    with anyio.move_on_after(_LINGER_SECONDS):
        await _skip_body(receive)
    await send({"type": "http.response.body"})


async def _skip_body(receive: Receive) -> None:
    read = 0
    message: Message = {}
    while read < _LINGER_BYTES and message.get("more_body", True):
        message = await receive()
        read += len(message.get("body", b""))
        if message["type"] == "http.disconnect":
            return
