"""Serves the application with uvicorn on a thread, so that the main thread can wait for signals."""

import asyncio
import socket
import threading
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from probe.clock import Clock
from probe.server.acceptor import Acceptor
from probe.server.auth import BasicAuthMiddleware
from probe.server.client_protocol import MAX_REQUEST_HEAD_BYTES
from probe.server.config_watch import WebConfig
from probe.server.headers import DefaultHeaders, configured_headers
from probe.server.limits import Limits, RateLimiter

GRACEFUL_STOP_SECONDS = 1
"""For answers that are under way at the end."""


def listen(address: str) -> socket.socket:
    """A listening socket for `HOST:PORT` or `:PORT`; raises ValueError and OSError.

    Without a host it listens on all addresses, of both families where the system has both.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"not a listen address: {address!r}; write :10115 or 127.0.0.1:10115")
    host = host.removeprefix("[").removesuffix("]")
    place = (host, int(port))
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(place, family=socket.AF_INET6, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server(place, family=family)


class Server:
    """Serves until it is stopped."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        clock: Clock,
        config: WebConfig | None = None,
    ) -> None:
        """Without a web config no TLS is spoken, and there are no users."""
        web = config or WebConfig(clock)
        limits = _guarded(app, web, clock.seconds)
        self._server = _Uvicorn(
            uvicorn.Config(
                DefaultHeaders(limits, lambda: configured_headers(web)),
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,  # whoever is limited by address must not choose his own
                server_header=False,
                timeout_keep_alive=120,  # longer than a scrape interval
                timeout_graceful_shutdown=GRACEFUL_STOP_SECONDS,
                h11_max_incomplete_event_size=MAX_REQUEST_HEAD_BYTES,
            ),
            web,
            limits,
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="web", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Answer what is under way, for a moment, and end."""
        self._server.should_exit = True
        self._thread.join(GRACEFUL_STOP_SECONDS + 1)


def _guarded(app: ASGIApp, web: WebConfig, now: Callable[[], float]) -> Limits:
    """What is too much is refused before anybody looks at who it is."""
    failures = RateLimiter(size=10, per_second=1 / 6, now=now)
    return Limits(BasicAuthMiddleware(app, web, failures), now)


class _Uvicorn(uvicorn.Server):
    """A uvicorn whose connections come through our door."""

    def __init__(self, config: uvicorn.Config, web: WebConfig, limits: Limits) -> None:
        super().__init__(config)
        self._web = web
        self._limits = limits

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.servers: list[asyncio.Server] = []
        doors = [Acceptor(self, listener, self._web) for listener in sockets or ()]
        self._serving = [asyncio.create_task(door.serve()) for door in doors]
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for task in self._serving:
            task.cancel()
        self._limits.close()
        await super().shutdown(sockets)
