"""How much each client may ask for: a bucket of tokens for each address."""

import math
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address

from starlette.responses import Response
from starlette.types import Scope

from probe.server.error_response import error_response

MAX_CLIENTS = 10_000
"""Addresses that are remembered, about 3 MB; then the one not seen for longest is forgotten."""


class RateLimiter:
    """Full at first, and filled again by and by. Of one event loop."""

    def __init__(self, *, size: int, per_second: float, now: Callable[[], float]) -> None:
        """`now` is a monotonic clock in seconds."""
        self._size = size
        self._per_second = per_second
        self._now = now
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> int:
        """Takes a token; or takes none and gives the whole seconds until there is one."""
        client, level = _client(address), self._level(address)
        if level < 1:
            return math.ceil((1 - level) / self._per_second)
        self._set(client, level - 1)
        return 0

    def give_back(self, address: str) -> None:
        self._set(_client(address), min(self._size, self._level(address) + 1))

    def _level(self, address: str) -> float:
        now = self._now()
        level, since = self._levels.get(_client(address), (float(self._size), now))
        return min(self._size, level + (now - since) * self._per_second)

    def _set(self, client: str, level: float) -> None:
        self._levels[client] = (level, self._now())
        self._levels.move_to_end(client)
        if len(self._levels) > MAX_CLIENTS:
            self._levels.popitem(last=False)


def client_address(scope: Scope) -> str:
    """The client's address; empty where it is gone already."""
    return str(scope["client"][0]) if scope["client"] else ""


def too_many_requests(scope: Scope, why: str, seconds: int) -> Response:
    """The answer to a client whose bucket is empty."""
    words, headers = f"{why}; try again in {seconds} s", {"Retry-After": str(seconds)}
    return error_response(scope["path"], words, HTTPStatus.TOO_MANY_REQUESTS, headers)


def _client(address: str) -> str:
    """The client behind an address: of IPv6 one has not less than a /64."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or int(parsed) >> 64)
