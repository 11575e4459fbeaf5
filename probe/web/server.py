"""Serves the application with uvicorn on a thread, so that the main thread can wait for signals."""

import socket
import threading

import uvicorn
from starlette.types import ASGIApp

MOST_CONNECTIONS = 256
STOP_SECONDS = 2


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

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=120,  # longer than a scrape interval
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="web", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Answer what is under way, for a moment, and end."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS + 1)
