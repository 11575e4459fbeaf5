"""Limits on what one client can request: URL, headers, body, and the rate of `/probe`.

Without them one client could exhaust memory or connections, and Prometheus could not scrape.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from probe.rate_limiter import RateLimiter

API_PREFIX = "/api/"
ON_DEMAND_PATH = "/probe"

MAX_URL_BYTES = 8 * 1024
# All names and values together.
MAX_HEADER_BYTES = 16 * 1024
# Names of probes in the message about an unknown one.
MAX_NAMES_SHOWN = 100
# Requests to `/probe` in progress. Fewer than the connections, so that a scrape still gets one.
MAX_ON_DEMAND_REQUESTS = 100
# Requests to `/probe` that one address may send at once, and then in each second.
MAX_ON_DEMAND_BURST = 100
ON_DEMAND_PER_SECOND = 10

_STOPPING = PlainTextResponse("stopping\n", HTTPStatus.SERVICE_UNAVAILABLE)


class Limits:
    """ASGI middleware that rejects oversized requests and too many requests to `/probe`."""

    def __init__(self, app: ASGIApp, now: Callable[[], float]) -> None:
        """`now` is a monotonic clock in seconds."""
        self._app = app
        self._on_demand = RateLimiter(
            size=MAX_ON_DEMAND_BURST, per_second=ON_DEMAND_PER_SECOND, now=now
        )
        self._pending: set[asyncio.Timeout] = set()

    def close(self) -> None:
        """End pending requests to `/probe` with 503: a probe may take longer than a shutdown."""
        for pending in self._pending:
            if not pending.expired():
                pending.reschedule(0.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if violation := _violation(scope):
            status, message = violation
            response = error_response(scope["path"], message, status, {"Connection": "close"})
            return await response(scope, receive, send)
        if scope["path"] == ON_DEMAND_PATH:
            return await self._limit_on_demand(scope, receive, send)
        return await self._app(scope, receive, send)

    async def _limit_on_demand(self, scope: Scope, receive: Receive, send: Send) -> None:
        full = len(self._pending) >= MAX_ON_DEMAND_REQUESTS
        retry_seconds = 1 if full else self._on_demand.take(client_key(scope))
        if retry_seconds:
            response = too_many_requests(scope, "too many probes are requested", retry_seconds)
            return await response(scope, receive, send)
        try:
            async with asyncio.timeout(None) as pending:
                self._pending.add(pending)
                try:
                    return await self._app(scope, receive, send)
                finally:
                    self._pending.remove(pending)
        except TimeoutError:
            if not pending.expired():
                raise
        return await _STOPPING(scope, receive, send)


def _violation(scope: Scope) -> tuple[HTTPStatus, str] | None:
    """Return the status and message to reject a request with, or None."""
    headers = scope["headers"]
    if not scope["http_version"].startswith("1."):
        return HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.1 is supported"
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_URL_BYTES:
        return HTTPStatus.REQUEST_URI_TOO_LONG, f"the URL is longer than {MAX_URL_BYTES} bytes"
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        message = f"the headers are longer than {MAX_HEADER_BYTES} bytes"
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message
    has_length = any(name == b"content-length" and int(value) for name, value in headers)
    if has_length or any(name == b"transfer-encoding" for name, _ in headers):
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "requests must not have a body"
    return None


def client_key(scope: Scope) -> str:
    """Return the identity of a client: an IPv4 address, or the /64 network of an IPv6 address.

    One IPv6 client has at least a /64 of addresses. The key is empty if the client has already
    disconnected.
    """
    return address_key(str(scope["client"][0]) if scope["client"] else "")


def address_key(address: str) -> str:
    """Return the identity of the client with this IP address, see `client_key`."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or int(parsed) >> 64)


def too_many_requests(scope: Scope, reason: str, retry_seconds: int) -> Response:
    """Return a response with status 429 and the time after which to retry."""
    message = f"{reason}; try again in {retry_seconds} s"
    headers = {"Retry-After": str(retry_seconds)}
    return error_response(scope["path"], message, HTTPStatus.TOO_MANY_REQUESTS, headers)


def error_response(
    path: str, message: str, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error as JSON under `/api/`, elsewhere as plain text."""
    if path.startswith(API_PREFIX):
        return JSONResponse({"error": message}, status, headers)
    return PlainTextResponse(f"{message}\n", status, headers)


def unknown_probe_message(name: str, known: Iterable[str]) -> str:
    """Return the message for a probe that does not exist. It has the first of the `known` names."""
    names = sorted(known)
    more = f" and {len(names) - MAX_NAMES_SHOWN} more" if len(names) > MAX_NAMES_SHOWN else ""
    return f"no probe {name!r}; there are: {', '.join(names[:MAX_NAMES_SHOWN])}{more}"
