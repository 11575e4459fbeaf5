"""A web server that opens and closes within a running loop, several of them in one process."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route


class Server(uvicorn.Server):
    @classmethod
    async def open(cls, routes: Sequence[Route], host: str, port: int) -> Self:
        """Listening when it returns; OSError when it cannot. Port 0 is any free one."""
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
        self._running = asyncio.create_task(self.serve(sockets=[listener]))

    async def close(self) -> None:
        """Nobody listens any more, and connections that were kept alive are closed."""
        self.should_exit = True
        await self._running

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: the program has one handler for all of its servers."""
        yield
