"""Clients of the daemon's HTTP server during a soak test: one that reads, and many that do not."""

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

import requests

from tests.commands import Running

PAGE_INTERVAL_SECONDS = 0.5

PAGES = (
    *("/", "/probes/plain-new-1", "/probes/tls-reuse-4", "/api/v1/probes", "/metrics"),
    *("/api/v1/probes/plain-reuse-2/results", "/probe?name=tls-new-3", "/-/healthy"),
)

# The silent clients: their address, which is not that of the client that reads, and their number.
SILENT_ADDRESS, SILENT_CLIENTS = "127.0.0.2", 250

# The first pages are large. The last request is incomplete.
SILENT_REQUESTS = (
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /api/v1/probes HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHo",
)

# New silent clients are started at this rate at most.
SILENT_STARTS_PER_SECOND = 50

# Of the client's socket, so that the responses wait in the daemon.
RECEIVE_BUFFER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class PageClient:
    """The client that reads."""

    stopped: threading.Event
    failed_pages: list[str]
    """Pages that were not served, and the reasons."""


@contextmanager
def request_pages(daemon: Running) -> Iterator[PageClient]:
    """Request one page after the other on a thread, until the end of the block."""
    client, pages = PageClient(threading.Event(), []), cycle(PAGES)

    def run() -> None:
        while not client.stopped.wait(PAGE_INTERVAL_SECONDS):
            page = next(pages)
            try:
                result = f"status {daemon.get(page).status_code}"
            except requests.RequestException as error:
                result = str(error)
            if result != "status 200" and not client.stopped.is_set():
                client.failed_pages.append(f"{page}: {result}")

    with _thread(run, client.stopped):
        yield client


@contextmanager
def keep_silent_clients(port: int) -> Iterator[None]:
    """Keep clients that request a page and read nothing, until the end of the block.

    A client that the daemon disconnects is replaced.
    """
    stopped, contents = threading.Event(), cycle(SILENT_REQUESTS)

    def run() -> None:
        clients: dict[int, socket.socket] = {}
        # Reports the end of a connection, and not input, which would always be ready.
        poll = select.poll()
        while not stopped.wait(1 / SILENT_STARTS_PER_SECOND):
            for descriptor, _ in poll.poll(0):
                poll.unregister(descriptor)
                clients.pop(descriptor).close()
            if len(clients) < SILENT_CLIENTS:
                client = _start_silent_client(port, next(contents))
                if client:
                    clients[client.fileno()] = client
                    poll.register(client, select.POLLRDHUP)
        for client in clients.values():
            client.close()

    with _thread(run, stopped):
        yield


def _start_silent_client(port: int, request: bytes) -> socket.socket | None:
    """Connect and send the request; return None if the daemon refuses it."""
    client = socket.socket()
    client.settimeout(1.0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    try:
        client.bind((SILENT_ADDRESS, 0))
        client.connect(("127.0.0.1", port))
        client.sendall(request)
    except OSError:
        client.close()
        return None
    return client


@contextmanager
def _thread(run: Callable[[], None], stopped: threading.Event) -> Iterator[None]:
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
