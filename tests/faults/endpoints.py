"""Faulty endpoints: scripts of servers, and setups with a server."""

import datetime as dt
import gzip
import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import count, cycle
from pathlib import Path
from typing import Any

from tests.faults.fault import FaultSetup, OpenSetup
from tests.http.conftest import Authority
from tests.raw_servers import (
    Peer,
    Script,
    Server,
    always,
    free_port,
    http_response,
    once,
    respond_with_handshake,
    two_responses,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WRONG_CHUNK_SIZES = (
    CHUNKED + b"20\r\nok",
    CHUNKED + b"2\r\nok\r\n",
    CHUNKED + b"-2\r\nok\r\n0\r\n\r\n",
    CHUNKED + b"what?\r\nok\r\n0\r\n\r\n",
    CHUNKED + b"f" * 100_000,
)
ONE_BYTE_CHUNKS = CHUNKED + b"1\r\nx\r\n" * 1024**2 + b"0\r\n\r\n"
LONG_CHUNK_EXTENSIONS = CHUNKED + (b"2;" + b"x" * 60_000 + b"\r\nok\r\n") * 100 + b"0\r\n\r\n"
INVALID_STATUS_LINES = tuple(
    http_response().replace(b"HTTP/1.1 200", line)
    for line in (b"HTTP/1.1 +200", b"HTTP/1.1 2_00", b"HTTP/1.1 0200", b"HTTP/1.banana 200")
)
# The probe expects the first one.
TWO_RESPONSES = two_responses(http_response(), http_response(b"surplus"), delay_seconds=0.02)
REUSE: dict[str, Any] = {"connection": "reuse", "expect": {"body_matches": "^ok$"}}
RANDOM_BYTES = tuple(random.Random(1).randbytes(size) for size in (1, 20, 1_000, 100_000))
TEN_GB_BYTES = 10 * 1024**3

# More than the buffers of both sockets can hold: 4.3 MB with the default limits of Linux.
REQUEST_BODY_BYTES = 5_000_000


# Bodies whose evaluation takes seconds, or more than 100 MiB without a limit.
MANY_LETTERS = b"zq" + b"x" * 1_000_000
MANY_OBJECTS = b"[" + b",".join([b'{"":0}'] * 140_000) + b"]"
MANY_NUMBERS = b"[" + b",".join([b"0"] * 150_000) + b"]"

# Expensive evaluations are rare, so that the faults can share a daemon: beyond the queue of the
# evaluator the result would be `internal`.
EXPENSIVE_INTERVAL = "4s"


def endpoint(script: Script, **keys: Any) -> OpenSetup:
    """Return the setup of an endpoint with this script; `keys` are config keys of its probe."""
    return lambda _: _serving(Server(script), keys)


def tls_endpoint(script: Script, *, expired: bool = False, **keys: Any) -> OpenSetup:
    """Return the setup of an endpoint with TLS, with a trusted certificate.

    `keys` are config keys of its probe.
    """

    def setup(directory: Path) -> AbstractContextManager[FaultSetup]:
        authority = Authority(directory)
        yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
        context = authority.context(**({"not_after": yesterday} if expired else {}))
        return _serving(Server(script, context=context), {"tls": authority.tls, **keys})

    return setup


@contextmanager
def response_before_request(directory: Path) -> Iterator[FaultSetup]:
    """Send the response with the last bytes of the TLS handshake: it is there before the request.

    Without TLS, the client might send its request first.
    """
    authority = Authority(directory)
    with Server(respond_with_handshake(authority.context(), http_response())) as server:
        url = server.url().replace("http", "https")
        yield FaultSetup(keys={"url": url, "tls": authority.tls})


def https_url_without_tls(script: Script) -> OpenSetup:
    """Return the setup of an endpoint without TLS, for which the probe has an https URL."""

    @contextmanager
    def setup(_: Path) -> Iterator[FaultSetup]:
        with Server(script) as server:
            yield FaultSetup(keys={"url": server.url().replace("http", "https")})

    return setup


@contextmanager
def _serving(server: Server, keys: Mapping[str, Any]) -> Iterator[FaultSetup]:
    with server:
        yield FaultSetup(keys={"url": server.url(), **keys})


def _sparse_file(path: Path, size: int) -> Path:
    """Create a file of `size` zeros that uses no disk space."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


@contextmanager
def refusing(_: Path) -> Iterator[FaultSetup]:
    """Use a port without a listener: the kernel responds to each SYN with an RST."""
    yield FaultSetup(keys={"url": f"http://127.0.0.1:{free_port()}/"})


@contextmanager
def reset_during_request(directory: Path) -> Iterator[FaultSetup]:
    """Reset the connection while the client is still sending the request."""
    body = _sparse_file(directory / "body", REQUEST_BODY_BYTES)

    def script(peer: Peer) -> None:
        peer.connection.recv(1000)
        peer.pause(0.05)
        peer.reset()

    with Server(script, receive_buffer=4096) as server:
        yield FaultSetup(keys={"url": server.url(), "method": "POST", "body_file": str(body)})


@contextmanager
def ten_gigabytes(directory: Path) -> Iterator[FaultSetup]:
    """Send 10 GB, or as much as the client accepts."""
    body = _sparse_file(directory / "body", TEN_GB_BYTES)

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {TEN_GB_BYTES}\r\n\r\n".encode())
        with body.open("rb") as file:
            peer.connection.sendfile(file)

    with Server(script) as server:
        yield FaultSetup(keys={"url": server.url()})


@contextmanager
def gzip_bomb(_: Path) -> Iterator[FaultSetup]:
    """Send 100 kB of gzip that decode to 100 MB; the probe has to match the decoded body."""
    bomb = http_response(gzip.compress(bytes(100_000_000)), "Content-Encoding: gzip")
    with Server(once(bomb)) as server:
        yield FaultSetup(keys={"url": server.url(), "expect": {"body_matches": "positive"}})


def expensive(body: bytes, expect: Mapping[str, Any]) -> OpenSetup:
    """Return the setup of an endpoint that sends `body`, which is expensive to evaluate."""
    return endpoint(always(http_response(body)), expect=expect, interval=EXPENSIVE_INTERVAL)


def silent(peer: Peer) -> None:
    """Accept the connection and do nothing."""
    peer.silence()


def slow_body(peer: Peer) -> None:
    peer.request()
    peer.drip(http_response(), gap=1.0)


def reset_after_first_bytes(peer: Peer) -> None:
    """Reset the connection as soon as the client has sent anything."""
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


def endless_headers(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\n")
    for number in count():
        peer.send(b"X-%d: y\r\n" % number)


def in_turn(responses: Iterable[bytes]) -> Script:
    """Send one of `responses` in turn to each connection, then close it."""
    turn = cycle(responses)

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(next(turn))

    return script


def plain_bytes_after_handshake(peer: Peer) -> None:
    """Send the response unencrypted after the TLS handshake."""
    peer.request()
    os.write(peer.connection.fileno(), b"HTTP/1.1 200 OK\r\n\r\n")
    time.sleep(0.05)
