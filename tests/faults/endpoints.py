"""What can be wrong with an endpoint."""

import datetime as dt
import gzip
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import count, cycle
from pathlib import Path
from typing import Any

from tests.faults.fault import Stage
from tests.http.conftest import Authority
from tests.raw_servers import Peer, Script, Server, free_port, http_response, once

OpenStage = Callable[[Path], AbstractContextManager[Stage]]

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LIES = (
    CHUNKED + b"20\r\nok",
    CHUNKED + b"2\r\nok\r\n",
    CHUNKED + b"-2\r\nok\r\n0\r\n\r\n",
    CHUNKED + b"what?\r\nok\r\n0\r\n\r\n",
    CHUNKED + b"f" * 100_000,
)
GARBAGE = tuple(random.Random(1).randbytes(size) for size in (1, 20, 1_000, 100_000))
TEN_GIGABYTES = 10 * 1024**3
BODY = 8_000_000
"""Bytes that fit into the buffers of no two sockets."""


def endpoint(script: Script, **keys: Any) -> OpenStage:
    """An endpoint that follows a script; `keys` are those of its probe."""
    return lambda _: _serving(Server(script), keys)


def encrypted(script: Script, *, expired: bool = False) -> OpenStage:
    """The same over TLS, trusted but for its date."""

    def stage(directory: Path) -> AbstractContextManager[Stage]:
        authority = Authority(directory)
        until = {"not_after": dt.datetime.now(dt.UTC) - dt.timedelta(days=1)} if expired else {}
        return _serving(Server(script, context=authority.context(**until)), {"tls": authority.tls})

    return stage


def pretending(script: Script) -> OpenStage:
    """An endpoint behind https that speaks no TLS."""

    @contextmanager
    def stage(_: Path) -> Iterator[Stage]:
        with Server(script) as server:
            yield Stage(keys={"url": server.url().replace("http", "https")})

    return stage


@contextmanager
def _serving(server: Server, keys: Mapping[str, Any]) -> Iterator[Stage]:
    with server:
        yield Stage(keys={"url": server.url(), **keys})


def _sparse(path: Path, size: int) -> Path:
    """A file of so many zeros that take no room on the disk."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


@contextmanager
def nobody(_: Path) -> Iterator[Stage]:
    """Each SYN is answered with an RST."""
    yield Stage(keys={"url": f"http://127.0.0.1:{free_port()}/"})


@contextmanager
def resetting_the_send(directory: Path) -> Iterator[Stage]:
    """The client is still sending when the RST comes."""
    body = _sparse(directory / "body", BODY)

    def script(peer: Peer) -> None:
        peer.connection.recv(1000)
        peer.pause(0.05)
        peer.reset()

    with Server(script, receive_buffer=4096) as server:
        yield Stage(keys={"url": server.url(), "method": "POST", "body_file": str(body)})


@contextmanager
def ten_gigabytes(directory: Path) -> Iterator[Stage]:
    """As many as the client takes."""
    body = _sparse(directory / "body", TEN_GIGABYTES)

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {TEN_GIGABYTES}\r\n\r\n".encode())
        with body.open("rb") as file:
            peer.connection.sendfile(file)

    with Server(script) as server:
        yield Stage(keys={"url": server.url()})


@contextmanager
def gzip_bomb(_: Path) -> Iterator[Stage]:
    """100 kB that would become 100 MB, and a probe that has to look inside."""
    bomb = http_response(gzip.compress(bytes(100_000_000)), "Content-Encoding: gzip")
    with Server(once(bomb)) as server:
        yield Stage(keys={"url": server.url(), "expect": {"body_matches": "positive"}})


def hanging(peer: Peer) -> None:
    """Accepts and does nothing."""
    peer.silence()


def dripping(peer: Peer) -> None:
    peer.request()
    peer.drip(http_response(), gap=1.0)


def resetting(peer: Peer) -> None:
    """As soon as there is something to read."""
    peer.connection.recv(10)
    peer.reset()


def resetting_the_wait(peer: Peer) -> None:
    peer.request()
    peer.reset()


def resetting_the_body(peer: Peer) -> None:
    peer.request()
    peer.send(http_response(b"x" * 100)[:-50])
    peer.pause(0.02)
    peer.reset()


def flooding(peer: Peer) -> None:
    """Headers without end."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\n")
    for number in count():
        peer.send(b"X-%d: y\r\n" % number)


def cycling(replies: tuple[bytes, ...]) -> Script:
    """Each connection gets the next of these and is closed."""
    turn = cycle(replies)

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(next(turn))

    return script


def breaking(peer: Peer) -> None:
    """Sends plain bytes where an encrypted answer should be."""
    peer.request()
    os.write(peer.connection.fileno(), b"HTTP/1.1 200 OK\r\n\r\n")
    time.sleep(0.05)
