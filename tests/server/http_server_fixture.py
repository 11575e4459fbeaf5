"""A small application behind the real HTTP server, and helpers for raw clients."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import bcrypt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from probe.clock import Clock
from probe.server.server import Server, bind
from probe.server.web_config_loader import load_web_config
from probe.server.web_config_watch import WebConfig

LARGE_BYTES = 30_000_000


def bcrypt_hash(password: str, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost)).decode()


class HttpServer:
    """A server on a free port of 127.0.0.1.

    `/` returns the authenticated user, `/large` LARGE_BYTES; `/probe?wait` waits for `release`.
    """

    def __init__(self, config: Path | None = None, listener: socket.socket | None = None) -> None:
        self.release = threading.Event()
        listener = listener or bind("127.0.0.1:0")
        self.port = int(listener.getsockname()[1])
        self.host = f"127.0.0.1:{self.port}"
        web = WebConfig(
            Clock(),
            config,
            check_interval_seconds=0,
            load=load_web_config,
            submit=lambda task: task(),
        )
        self._server = Server(self._app(), listener, Clock(), web)
        self._server.start()

    def _app(self) -> Starlette:
        async def user(request: Request) -> Response:
            return PlainTextResponse(f"{request.user.is_authenticated} {request.user.display_name}")

        async def large(_: Request) -> Response:
            return PlainTextResponse(b"x" * LARGE_BYTES)

        async def probe(request: Request) -> Response:
            while "wait" in request.query_params and not self.release.is_set():
                await asyncio.sleep(0.05)
            return PlainTextResponse("probed")

        return Starlette(
            routes=[Route("/", user), Route("/large", large), Route("/probe", probe)],
        )

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def exchange(self, request: bytes) -> bytes:
        """Send a request, and return all bytes until the server closes the connection."""
        with closing(self.connect()) as client:
            client.sendall(request)
            return read_until_closed(client)

    def stop(self) -> None:
        self._server.stop()
        self.release.set()


def read_until_closed(client: socket.socket) -> bytes:
    received = bytearray()
    while data := client.recv(65536):
        received += data
    return bytes(received)


@contextmanager
def http_server(
    config: Path | None = None, listener: socket.socket | None = None
) -> Iterator[HttpServer]:
    """Run an HttpServer until the end of the block, on a bound `listener` or a free port."""
    server = HttpServer(config, listener)
    try:
        yield server
    finally:
        server.stop()
