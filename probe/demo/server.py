"""A uvicorn server that is opened and closed while its event loop keeps running."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route


class Server(uvicorn.Server):
    """Serves `routes`. Several servers may run in one process."""

    @classmethod
    async def open(cls, routes: Sequence[Route], host: str, port: int) -> Self:
        """Return a server that listens; port 0 is any free port. Raises OSError."""
        server = cls(routes, socket.create_server((host, port)))
        while not server.started:
            await asyncio.sleep(0.01)
        return server

    def __init__(self, routes: Sequence[Route], listener: socket.socket) -> None:
        config = uvicorn.Config(
            Starlette(routes=routes),
            lifespan="off",
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self.port: int = listener.getsockname()[1]
        self._task = asyncio.create_task(self.serve(sockets=[listener]))

    async def close(self) -> None:
        """Stop listening and close all connections, also idle ones."""
        self.should_exit = True
        await self._task

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers: the program has one for all its servers."""
        yield
