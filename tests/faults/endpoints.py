"""Faults of endpoints."""

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
WRONG_CHUNK_SIZES = (
    CHUNKED + b"20\r\nok",
    CHUNKED + b"2\r\nok\r\n",
    CHUNKED + b"-2\r\nok\r\n0\r\n\r\n",
    CHUNKED + b"what?\r\nok\r\n0\r\n\r\n",
    CHUNKED + b"f" * 100_000,
)
RANDOM_BYTES = tuple(random.Random(1).randbytes(size) for size in (1, 20, 1_000, 100_000))
TEN_GIGABYTES = 10 * 1024**3

# More than the buffers of both sockets hold.
LARGE_BODY_BYTES = 8_000_000


def endpoint(script: Script, **keys: Any) -> OpenStage:
    """Return the setup of an endpoint that runs `script`, with the config `keys` of its probe."""
    return lambda _: _serving(Server(script), keys)


def encrypted(script: Script, *, expired: bool = False) -> OpenStage:
    """Return the setup of a TLS endpoint with a trusted, optionally expired, certificate."""

    def stage(directory: Path) -> AbstractContextManager[Stage]:
        authority = Authority(directory)
        until = {"not_after": dt.datetime.now(dt.UTC) - dt.timedelta(days=1)} if expired else {}
        return _serving(Server(script, context=authority.context(**until)), {"tls": authority.tls})

    return stage


def without_tls(script: Script) -> OpenStage:
    """Return the setup of an endpoint without TLS whose URL has https."""

    @contextmanager
    def stage(_: Path) -> Iterator[Stage]:
        with Server(script) as server:
            yield Stage(keys={"url": server.url().replace("http", "https")})

    return stage


@contextmanager
def _serving(server: Server, keys: Mapping[str, Any]) -> Iterator[Stage]:
    with server:
        yield Stage(keys={"url": server.url(), **keys})


def _sparse_file(path: Path, size: int) -> Path:
    """Create a file of `size` zero bytes that takes no disk space."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


@contextmanager
def closed_port(_: Path) -> Iterator[Stage]:
    """Set up a closed port, which responds to each SYN with an RST."""
    yield Stage(keys={"url": f"http://127.0.0.1:{free_port()}/"})


@contextmanager
def reset_during_request(directory: Path) -> Iterator[Stage]:
    """Set up an endpoint that resets the connection while the client sends."""
    body = _sparse_file(directory / "body", LARGE_BODY_BYTES)

    def script(peer: Peer) -> None:
        peer.connection.recv(1000)
        peer.pause(0.05)
        peer.reset()

    with Server(script, receive_buffer=4096) as server:
        yield Stage(keys={"url": server.url(), "method": "POST", "body_file": str(body)})


@contextmanager
def ten_gigabytes(directory: Path) -> Iterator[Stage]:
    """Set up an endpoint that sends 10 GB, or as much as the client reads."""
    body = _sparse_file(directory / "body", TEN_GIGABYTES)

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {TEN_GIGABYTES}\r\n\r\n".encode())
        with body.open("rb") as file:
            peer.connection.sendfile(file)

    with Server(script) as server:
        yield Stage(keys={"url": server.url()})


@contextmanager
def gzip_bomb(_: Path) -> Iterator[Stage]:
    """Set up an endpoint with 100 MB compressed to 100 kB, and a probe that must decompress it."""
    bomb = http_response(gzip.compress(bytes(100_000_000)), "Content-Encoding: gzip")
    with Server(once(bomb)) as server:
        yield Stage(keys={"url": server.url(), "expect": {"body_matches": "positive"}})


def send_nothing(peer: Peer) -> None:
    """Send nothing."""
    peer.silence()


def send_slowly(peer: Peer) -> None:
    peer.request()
    peer.drip(http_response(), gap=1.0)


def reset_at_first_bytes(peer: Peer) -> None:
    """Reset the connection when the first bytes arrive."""
    peer.connection.recv(10)
    peer.reset()


def reset_before_response(peer: Peer) -> None:
    peer.request()
    peer.reset()


def reset_during_response(peer: Peer) -> None:
    peer.request()
    peer.send(http_response(b"x" * 100)[:-50])
    peer.pause(0.02)
    peer.reset()


def send_endless_headers(peer: Peer) -> None:
    """Send endless headers."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\n")
    for number in count():
        peer.send(b"X-%d: y\r\n" % number)


def send_in_turn(replies: tuple[bytes, ...]) -> Script:
    """Return a script that sends the next of `replies` to each connection and closes it."""
    turn = cycle(replies)

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(next(turn))

    return script


def send_unencrypted(peer: Peer) -> None:
    """Send unencrypted bytes instead of an encrypted response."""
    peer.request()
    os.write(peer.connection.fileno(), b"HTTP/1.1 200 OK\r\n\r\n")
    time.sleep(0.05)
