"""Accepts connections. At the limit it evicts the connection that has been waiting longest.

The threat: a client opens connections or starts TLS handshakes, for which it needs no password,
and does nothing more. uvicorn has no limit for that by default. With `limit_concurrency` it would
reject all clients, including Prometheus, as long as such connections are open.
"""

import asyncio
import logging
import socket

from probe.server.connection_protocol import ConnectionProtocol, HttpProtocolFactory
from probe.server.web_config_watch import WebConfig

MAX_CONNECTIONS = 256
# A client in its handshake is not authenticated yet, and costs 50 kB.
MAX_HANDSHAKES = 64
RETRY_SECONDS = 0.1

logger = logging.getLogger(__name__)


class Acceptor:
    """Accepts the connections of one listening socket.

    Each connection gets the TLS context that is current when it is accepted.
    """

    def __init__(
        self, listener: socket.socket, config: WebConfig, create_http: HttpProtocolFactory
    ) -> None:
        self._listener = listener
        self._config = config
        self._create_http = create_http
        # Both in the order in which they started.
        self._clients: dict[ConnectionProtocol, None] = {}
        self._handshakes: dict[ConnectionProtocol, None] = {}
        self._out_of_descriptors = False

    async def run(self) -> None:
        """Accept connections until cancelled."""
        self._listener.setblocking(False)
        while True:
            try:
                await self._wait_for_capacity()
                await self._accept()
            except Exception:
                # Without this loop all endpoints would hang, `/-/healthy` included.
                logger.exception("a connection could not be accepted: this is a bug")
                await asyncio.sleep(RETRY_SECONDS)

    def close(self) -> None:
        """Stop listening, and close all connections at once."""
        self._listener.close()
        for client in list(self._clients):
            client.abort()

    async def _wait_for_capacity(self) -> None:
        """Return when another connection is allowed. Waits only while all clients are served."""
        while len(self._clients) >= MAX_CONNECTIONS and not self._evict_idle():
            await asyncio.sleep(RETRY_SECONDS)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            accepted, _ = await loop.sock_accept(self._listener)
            self._out_of_descriptors = False
        except ConnectionError:
            return
        except OSError as error:  # no file descriptors left
            if not self._out_of_descriptors:
                logger.error("cannot accept connections: %s", error.strerror)
            self._out_of_descriptors = True
            self._evict_idle()
            await asyncio.sleep(RETRY_SECONDS)
            return
        try:
            await self._serve(accepted)
        except OSError:  # the client has disconnected
            accepted.close()
        except BaseException:
            accepted.close()
            raise

    async def _serve(self, accepted: socket.socket) -> None:
        """Attach a ConnectionProtocol to an accepted connection."""
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # saves 40 ms a response
        tls = self._config.settings.tls_server_config
        client = ConnectionProtocol(
            self._create_http,
            self._config.context,
            frozenset(tls.client_allowed_sans if tls else ()),
            on_handshake=self._handshake,
            on_lost=self._forget,
        )
        self._clients[client] = None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: client, accepted)
        except BaseException:
            self._forget(client)
            raise

    def _handshake(self, client: ConnectionProtocol) -> None:
        """Count a handshake that starts. At the limit, the one that started first is aborted."""
        for other in [other for other in self._handshakes if not other.in_handshake]:
            del self._handshakes[other]
        if len(self._handshakes) >= MAX_HANDSHAKES:
            oldest = next(iter(self._handshakes))
            self._forget(oldest)
            oldest.abort()
        self._handshakes[client] = None

    def _evict_idle(self) -> bool:
        """Abort the client that has been waiting longest; False if all clients are served."""
        waiting = [client for client in self._clients if client.is_waiting]
        if not waiting:
            return False
        client = min(waiting, key=lambda client: client.waiting_since)
        self._forget(client)
        client.abort()
        return True

    def _forget(self, client: ConnectionProtocol) -> None:
        self._clients.pop(client, None)
        self._handshakes.pop(client, None)
