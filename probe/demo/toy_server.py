"""The servers of a toy model: one for its requests, and one to set its fault."""

import asyncio
import contextlib
import random
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Protocol, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from probe.demo.fault import Fault, ModelType


class RouteServer(uvicorn.Server):
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


class ToyServer(Protocol):
    """A server that listens on `port`."""

    @property
    def port(self) -> int: ...

    async def close(self) -> None:
        """Stop listening and close all connections, also idle ones."""


class ToyModel(ABC):
    """A model on one port. With the fault `down` the port is closed."""

    type: ModelType

    def __init__(self, host: str, port: int, rng: random.Random) -> None:
        self.host, self.port = host, port
        self.fault: Fault | None = None
        self.rng = rng
        self._server: ToyServer | None = None
        self._lock = asyncio.Lock()

    async def set_fault(self, fault: Fault | None) -> None:
        """Set the fault, or clear it (None). It is in effect on return."""
        async with self._lock:
            self.fault = fault
            if fault is not Fault.DOWN and not self._server:
                self._server = await self.open_server()
                self.port = self._server.port
            elif fault is Fault.DOWN and self._server:
                await self._server.close()
                self._server = None

    @abstractmethod
    async def open_server(self) -> ToyServer:
        """Return a server that listens on `host` and `port`."""


class RouteModel(ToyModel):
    """A model behind Starlette."""

    async def open_server(self) -> ToyServer:
        route = Route(self.type.path, self.respond, methods=["POST"])
        return await RouteServer.open([route], self.host, self.port)

    @abstractmethod
    async def respond(self, request: Request) -> Response:
        """Return the response to a request, with the present fault."""


def admin_routes(model: ToyModel) -> list[Route]:
    """Return the routes of the admin port: GET, PUT and DELETE /fault."""
    faults = {str(fault): fault for fault in model.type.faults}

    async def fault(request: Request) -> Response:
        if request.method == "PUT":
            name = (await request.body()).decode(errors="replace").strip()
            if name not in faults:
                return PlainTextResponse(f"send one of: {', '.join(faults)}\n", 400)
            await model.set_fault(faults[name])
        elif request.method == "DELETE":
            await model.set_fault(None)
        return PlainTextResponse(f"{model.fault or 'healthy'}\n")

    return [Route("/fault", fault, methods=["GET", "PUT", "DELETE"])]
