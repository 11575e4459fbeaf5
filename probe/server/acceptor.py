"""Accepts connections. At a limit it evicts one of the address that has the most of them.

The threat: a client opens connections, starts TLS handshakes, for which it needs no password, or
requests pages that it does not read. uvicorn has no limit for that by default. With
`limit_concurrency` it would reject all clients, including Prometheus, as long as such connections
are open.
"""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Iterable

from probe.server.connection_protocol import ConnectionProtocol, HttpProtocolFactory
from probe.server.limits import address_key
from probe.server.web_config_watch import WebConfig

MAX_CONNECTIONS = 128
# A client in its handshake is not authenticated yet, and costs 50 kB.
MAX_HANDSHAKES = 64
RETRY_SECONDS = 0.1
# Compressed bodies of pages that are being sent, each counted once. One body may be larger.
MAX_UNSENT_BYTES = 2 * 1024**2
# The same, with the bodies of clients that read, however slowly.
MAX_UNSENT_BYTES_OF_READERS = 16 * 1024**2
# Only a client that has read nothing for this time is evicted because of the lower limit. One that
# reads 100 kB/s pauses for up to 0.7 s: the kernel reports larger steps.
STALLED_SECONDS = 2.0

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
        # With the identity of its address, see `address_key`.
        self._clients: dict[ConnectionProtocol, str] = {}
        self._handshakes: set[ConnectionProtocol] = set()
        self._out_of_descriptors = False

    async def run(self) -> None:
        """Accept connections until cancelled."""
        self._listener.setblocking(False)
        while True:
            try:
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

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            accepted, address = await loop.sock_accept(self._listener)
            self._out_of_descriptors = False
        except ConnectionError:
            return
        except OSError as error:  # no file descriptors left
            if not self._out_of_descriptors:
                logger.error("cannot accept connections: %s", error.strerror)
            self._out_of_descriptors = True
            self._evict(self._clients)
            await asyncio.sleep(RETRY_SECONDS)
            return
        try:
            await self._serve(accepted, address_key(address[0]))
        except OSError:  # the client has disconnected
            accepted.close()
        except BaseException:
            accepted.close()
            raise

    async def _serve(self, accepted: socket.socket, key: str) -> None:
        """Attach a ConnectionProtocol to an accepted connection from the address with this key.

        At the limit one connection is evicted, which may be this one.
        """
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # saves 40 ms a response
        tls = self._config.settings.tls_server_config
        client = ConnectionProtocol(
            self._create_http,
            self._config.context,
            frozenset(tls.client_allowed_sans if tls else ()),
            on_handshake=self._handshake,
            on_body=self._limit_unsent_bytes,
            on_lost=self._forget,
        )
        self._clients[client] = key
        if len(self._clients) > MAX_CONNECTIONS and self._evict(self._clients) is client:
            accepted.close()
            await asyncio.sleep(0)  # other connections need the event loop
            return
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: client, accepted)
        except BaseException:
            self._forget(client)
            raise

    def _handshake(self, client: ConnectionProtocol) -> None:
        """Count a handshake that starts. At the limit, one of them is evicted."""
        self._handshakes = {other for other in self._handshakes if other.in_handshake}
        self._handshakes.add(client)
        if len(self._handshakes) > MAX_HANDSHAKES:
            self._evict(self._handshakes)

    def _limit_unsent_bytes(self, client: ConnectionProtocol) -> None:
        """Evict clients until all bodies that are being sent fit into the limits.

        At the lower limit, only clients that do not read are evicted. `client` has just got its
        body, and is not evicted.
        """
        readers = {other for other in self._clients if other is not client and other.body}
        stalled = {reader for reader in readers if reader.has_stalled(STALLED_SECONDS)}
        self._evict_until(stalled, MAX_UNSENT_BYTES)
        self._evict_until(readers - stalled, MAX_UNSENT_BYTES_OF_READERS)

    def _evict_until(self, candidates: set[ConnectionProtocol], max_bytes: int) -> None:
        """Evict `candidates` until all bodies that are being sent have at most `max_bytes`."""
        while candidates and self._unsent_bytes() > max_bytes:
            candidates.discard(self._evict(candidates))

    def _unsent_bytes(self) -> int:
        """Return the size of the bodies that are being sent; clients may share a body."""
        bodies = {id(client.body): client.body for client in self._clients}
        return sum(body.gzip_size for body in bodies.values() if body)

    def _evict(self, candidates: Iterable[ConnectionProtocol]) -> ConnectionProtocol | None:
        """Reset one of `candidates` and return it; None if there are none.

        It is of the address that has the most of them, so that a client with many connections
        evicts its own. Of these, it is the one that has been waiting longest for the client.
        """
        candidates = list(candidates)
        if not candidates:
            return None
        counts = Counter(self._clients[client] for client in candidates)
        evicted = max(
            candidates,
            key=lambda client: (
                counts[self._clients[client]],
                client.is_waiting,
                -client.waiting_since,
            ),
        )
        self._forget(evicted)
        evicted.reset()
        return evicted

    def _forget(self, client: ConnectionProtocol) -> None:
        self._clients.pop(client, None)
        self._handshakes.discard(client)
