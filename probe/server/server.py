"""The HTTP server: uvicorn on a separate thread, behind an `Acceptor`.

The main thread stays free to wait for signals.
"""

import asyncio
import socket
import threading
from concurrent.futures import Future
from contextlib import suppress

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import Server as UvicornServer

from probe.clock import Clock
from probe.config.flags import parse_listen_address
from probe.rate_limiter import RateLimiter
from probe.server.acceptor import Acceptor
from probe.server.auth import BasicAuthMiddleware
from probe.server.connection_protocol import State, report_end_of_request
from probe.server.headers import DefaultHeaders, configured_headers
from probe.server.limits import Limits
from probe.server.web_config_watch import WebConfig

# For responses in progress when the server stops.
GRACEFUL_STOP_SECONDS = 1
# Longer than the usual scrape intervals.
KEEP_ALIVE_SECONDS = 120
# Buffers of each connection in the kernel, for data. Linux doubles them for its own overhead. All
# connections together take up to 13 MB for clients that do not read, and 8 MB for requests. A
# client at a distance of 100 ms reads about 400 kB/s.
SEND_BUFFER_BYTES = 24 * 1024
RECEIVE_BUFFER_BYTES = 16 * 1024
# Connections that wait to be accepted.
MAX_BACKLOG = 128
# An address may send 10 wrong passwords at once, then one each 6 seconds.
MAX_WRONG_PASSWORDS = 10
WRONG_PASSWORDS_PER_SECOND = 1 / 6


def bind(address: str) -> socket.socket:
    """Return a socket bound to `HOST:PORT` or `:PORT`; raises ValueError and OSError.

    Without a host it is bound to all addresses, of IPv4 and IPv6 if the system has both. It does
    not listen yet, so that clients cannot connect before the daemon can respond.
    """
    host, port = parse_listen_address(address)
    dual_stack = not host and socket.has_dualstack_ipv6()
    listener = socket.socket(
        socket.AF_INET6 if dual_stack or ":" in host else socket.AF_INET, socket.SOCK_STREAM
    )
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit both.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dual_stack)
        listener.bind((host, port))
    except BaseException:
        listener.close()
        raise
    return listener


class _UvicornServer(UvicornServer):
    """uvicorn that wakes up once per second, for the header `Date`.

    It would wake up ten times, which takes 1.6 ms of CPU time per second: an eighth of what a
    daemon with 10 probes per second takes.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._exit_requested = asyncio.Event()

    def exit(self) -> None:
        """Let `serve` end. Call it on the thread of the event loop."""
        self.should_exit = True
        self._exit_requested.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._exit_requested.wait()


class Server:
    """Serves an ASGI application on `listener`, a bound socket, from `start` until `stop`."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        clock: Clock,
        config: WebConfig | None = None,
    ) -> None:
        """Without a web config there are no TLS and no users."""
        self._listener = listener
        self._config = web = config or WebConfig(clock)
        failures = RateLimiter(
            size=MAX_WRONG_PASSWORDS,
            per_second=WRONG_PASSWORDS_PER_SECOND,
            now=clock.monotonic_seconds,
        )
        # Limits come first: they cost less than a password.
        self._limits = Limits(BasicAuthMiddleware(app, web, failures), clock.monotonic_seconds)
        with_headers = DefaultHeaders(self._limits, lambda: configured_headers(web))
        self._uvicorn = _UvicornServer(
            Config(
                report_end_of_request(with_headers),
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,  # a client must not choose the address that limits it
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                # Not reached: all connections are closed before.
                timeout_graceful_shutdown=GRACEFUL_STOP_SECONDS + 1,
            )
        )
        self._listening = Future[None]()
        self._stop_requested = Future[None]()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="web", daemon=True
        )

    def start(self) -> None:
        """Start to listen and to serve. Raises OSError if another process listens meanwhile."""
        self._uvicorn.config.load()
        self._thread.start()
        self._listening.result()

    def stop(self) -> None:
        """Finish the requests in progress, for GRACEFUL_STOP_SECONDS at most, and stop."""
        if not self._stop_requested.done():
            self._stop_requested.set_result(None)
        self._thread.join(GRACEFUL_STOP_SECONDS + 1)

    async def _serve(self) -> None:
        try:
            self._listener.listen(MAX_BACKLOG)
        except OSError as error:
            self._listening.set_exception(error)
            return
        self._listening.set_result(None)
        acceptor = Acceptor(self._listener, self._config, self._create_http)
        accepting = asyncio.create_task(acceptor.run())
        serving = asyncio.create_task(self._uvicorn.serve(sockets=[]))
        await asyncio.wrap_future(self._stop_requested)
        accepting.cancel()
        self._limits.close()
        self._uvicorn.exit()
        # uvicorn would log an error for each client that does not read its response.
        asyncio.get_running_loop().call_later(GRACEFUL_STOP_SECONDS, acceptor.close)
        await serving
        acceptor.close()

    def _create_http(self, state: State) -> H11Protocol:
        return H11Protocol(self._uvicorn.config, self._uvicorn.server_state, dict(state))
