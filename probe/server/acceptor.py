"""Lets clients in, and when there are too many shows out who has kept us waiting longest."""

import asyncio
import asyncio.sslproto
import logging
import socket
import ssl
import traceback

import uvicorn

from probe.server.client_protocol import (
    MAX_REQUEST_HEAD_BYTES,
    REQUEST_TIMEOUT_SECONDS,
    ClientProtocol,
)
from probe.server.config_watch import WebConfig

MAX_CONNECTIONS = 256
MAX_HANDSHAKES = 64
"""At once. Nobody has said yet who he is, and OpenSSL and asyncio keep 50 KB for each."""
MAX_TLS_RECORD_BYTES = 16 * 1024
"""Bytes: the longest piece that OpenSSL has to give."""
RETRY_SECONDS = 0.1
TLS_SHUTDOWN_SECONDS = 1.0
"""For a client to say that it has understood the end of TLS."""

TLS_HANDSHAKE = b"\x16"
"""The first byte of whoever speaks TLS."""
SPEAK_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n\r\nTLS is spoken here: write https://\n"
)

logger = logging.getLogger(__name__)


class Acceptor:
    """Accepts connections for uvicorn, each with the TLS context of the moment.

    uvicorn has no bound on handshakes, refuses everybody when its connections are taken by clients
    that do nothing, and has asyncio print thousands of lines when there are no descriptors left.
    """

    def __init__(self, server: uvicorn.Server, listener: socket.socket, config: WebConfig) -> None:
        self._server = server
        self._listener = listener
        self._config = config
        self._clients: dict[ClientProtocol, asyncio.Task[None]] = {}
        self._handshakes: dict[ClientProtocol, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Until it is cancelled."""
        _small_buffers()
        loop, stuck = asyncio.get_running_loop(), False
        self._listener.setblocking(False)
        while True:
            await self._wait_for_capacity()
            try:
                accepted, _ = await loop.sock_accept(self._listener)
            except ConnectionError:
                continue
            except OSError as error:
                if not stuck:
                    logger.error("cannot accept connections: %s", error.strerror)
                stuck = True
                self._evict_idle()
                await asyncio.sleep(RETRY_SECONDS)
                continue
            stuck = False
            self._let_in(accepted)
            await asyncio.sleep(0)  # a crowd at the door must not keep those inside waiting

    async def _wait_for_capacity(self) -> None:
        """There is always a place for the next one; it waits only while all others wait for us."""
        while len(self._clients) >= MAX_CONNECTIONS and not self._evict_idle():
            await asyncio.sleep(RETRY_SECONDS)

    def _let_in(self, accepted: socket.socket) -> None:
        tls = self._config.settings.tls_server_config
        allowed = tls.client_allowed_sans if tls else ()
        client = ClientProtocol(self._server.config, self._server.server_state, allowed)
        self._clients[client] = asyncio.create_task(self._attend(client, accepted))

    def _evict_idle(self) -> bool:
        """False where all of them wait for us."""
        waiting = [client for client in self._clients if client.waits]
        if not waiting:
            return False
        self._clients.pop(min(waiting, key=lambda client: client.since)).cancel()
        return True

    async def _attend(self, client: ClientProtocol, accepted: socket.socket) -> None:
        """The life of a connection."""
        tls = self._config.context
        try:
            if tls and not await _speaks_tls(accepted):
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms an answer
            await self._handshake(client, accepted, tls)
            await client.lost.wait()
        except OSError as error:
            logger.debug("a client did not come in: %s", error)
            traceback.clear_frames(error.__traceback__)  # asyncio's hold it, and so themselves
        finally:
            self._clients.pop(client, None)
            if client.transport:
                client.transport.abort()

    async def _handshake(
        self, client: ClientProtocol, accepted: socket.socket, tls: ssl.SSLContext | None
    ) -> None:
        """With TLS this is the handshake; of too many the one that began first is given up."""
        if len(self._handshakes) >= MAX_HANDSHAKES:
            first = next(iter(self._handshakes))
            self._handshakes.pop(first).cancel()
        self._handshakes[client] = self._clients[client]
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: client,
                accepted,
                ssl=tls,
                ssl_handshake_timeout=REQUEST_TIMEOUT_SECONDS if tls else None,
                ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS if tls else None,
            )
        finally:
            self._handshakes.pop(client, None)


def _small_buffers() -> None:
    """Left alone, asyncio reads TLS into 256 KiB for each connection, which is 64 MiB for all.

    There is no other way to tell it; nothing else in this process speaks TLS with asyncio.
    """
    asyncio.sslproto.SSLProtocol.max_size = MAX_TLS_RECORD_BYTES


async def _speaks_tls(client: socket.socket) -> bool:
    """Waits for its first byte, and leaves that where it is; who does not is told so and closed."""
    loop, heard = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(client, heard.set)
    speaks = False
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
            await heard.wait()
        speaks = client.recv(1, socket.MSG_PEEK) == TLS_HANDSHAKE
        if not speaks and client.recv(
            MAX_REQUEST_HEAD_BYTES
        ):  # what is left unread would reset the answer
            client.send(SPEAK_TLS)
    finally:
        loop.remove_reader(client)
        if not speaks:
            client.close()
    return speaks
