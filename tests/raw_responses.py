"""Arbitrary responses: random bytes, valid HTTP, and HTTP with mistakes. And a server for them."""

import gzip
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from probe.clock import Clock
from probe.http.pool import ConnectionPool
from probe.prober.prober import Prober
from probe.result import Result
from tests.probing import make_prober
from tests.raw_servers import Peer, Server

# The only address to which the probers may connect, whatever a redirect says.
HOST = "127.0.0.77"

LINES = (
    "HTTP/1.1 200 OK",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 100 Continue",
    "HTTP/1.1 101 Switching Protocols",
    "HTTP/1.1 204 No Content",
    "HTTP/1.1 301 Moved",
    "HTTP/1.1 307 Moved",
    "HTTP/1.1 429 Slow Down",
    "HTTP/1.1 503 Busy",
    "HTTP/1.1 666 Beast",
    "HTTP/2 200",
    "ICY 200 OK",
)
NAMES = (
    "Content-Length",
    "Transfer-Encoding",
    "Content-Encoding",
    "Content-Type",
    "Connection",
    "Location",
    "Server-Timing",
    "Set-Cookie",
    "X-Time",
)
VALUES = (
    "0",
    "2",
    "-1",
    "+2",
    "\u0662",
    "1e400",
    "9" * 5000,
    "nan",
    "chunked",
    "gzip, chunked",
    "gzip",
    "deflate",
    "close",
    "text/html; charset=nonsense",
    "total;dur=1, queue;dur=1e999",
    'compute;desc="a\\";dur=-1',
    "/",
    "//",
    "http://[::1/",
    "http://a b/",
    "http://\u00e4\udc80/",
    "http://user:word@model.test/",
    "ftp://model.test/",
    f"http://{HOST}:99999/",
    f"http://{HOST}:1/",
)
DOCUMENTS = (
    b"",
    b"ok",
    b'{"result": "positive", "t": 0.001}',
    b'{"result": [], "t": 1e400}',
    b'{"t": ' + b"9" * 5000 + b"}",
    b'{"t": NaN}',
    b'"\\ud800"',
    b"[" * 100_000,
    b"\xff\xfe\x00",
    b"\x00" * 20_000,
)


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


BODIES = (
    *DOCUMENTS,
    *map(_chunked, DOCUMENTS),
    *map(gzip.compress, DOCUMENTS),
    zlib.compress(b"ok"),
    _chunked(gzip.compress(b"0" * 200_000)),
)


@dataclass(frozen=True, slots=True)
class RawResponse:
    """The bytes of a response, in several pieces, and the end of the connection."""

    pieces: tuple[bytes, ...]
    ending: str


def response_bytes(line: str, headers: list[tuple[str, str]], body: bytes, *, sized: bool) -> bytes:
    """Return a response; `sized` adds its Content-Length."""
    length = [("Content-Length", str(len(body)))] if sized else []
    lines = [line, *(f"{name}: {value}" for name, value in length + headers), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


@st.composite
def _mutated(draw: st.DrawFn, sound: st.SearchStrategy[bytes]) -> bytes:
    """Return valid bytes, some of which are replaced, repeated or removed."""
    data = draw(sound)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(data), 400)))  # in the head and the first chunk
        gone = draw(st.integers(0, 30))
        data = data[:at] + draw(st.binary(max_size=10)) + data[at + gone :]
    return data


sound = st.builds(
    response_bytes,
    st.sampled_from(LINES),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4),
    st.sampled_from(BODIES),
    sized=st.booleans(),
)
messages = st.one_of(sound, sound, _mutated(sound), _mutated(sound), st.binary(max_size=300))


@st.composite
def _cut(draw: st.DrawFn) -> RawResponse:
    data = draw(messages)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    pieces = (data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True))
    return RawResponse(tuple(pieces), draw(st.sampled_from(["close"] * 20 + ["reset", "hold"])))


responses = _cut()

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "judging": {
        "expect": {
            "body_matches": "positive|ok",
            "headers": {"X-Time": {"matches": "^[0-9]"}, "Content-Type": {"exists": False}},
            "json": {"$.result": {"in": ["positive"]}, "$..t": {"min": 0.0001, "max": 1}},
        },
        "server_timing": [
            {"from": "header", "key": "x-time", "unit": "ms", "component": "queue"},
            {"from": "json", "key": "$.t", "unit": "s", "component": "compute"},
        ],
    },
    "following": {"redirects": 3},
    "head": {"method": "HEAD"},
    "keeping": {"connection": "reuse"},
}


class RawResponseServer:
    """A server that sends given bytes, and a prober of each kind."""

    def __init__(self, server: Server, pool: ConnectionPool) -> None:
        self.response = RawResponse((), "close")
        self._probers = {
            kind: self._prober(server.url(host=HOST), keys, pool) for kind, keys in KINDS.items()
        }

    @staticmethod
    def _prober(url: str, keys: dict[str, Any], pool: ConnectionPool) -> Prober:
        return make_prober(
            url,
            getaddrinfo=_resolve_addresses_only,
            networks={"allow": [f"{HOST}/32"]},
            pool=pool if "connection" in keys else None,
            **{"timeout": "200ms", "max_bytes": "100kB", **keys},
        )

    def probe(self, kind: str, response: RawResponse) -> Result:
        """Return the result of a probe of `response`.

        The run is repeated if this process itself missed the deadline of 200 ms.
        """
        self.response = response
        for _ in range(3):
            result = self._probers[kind].run(due=Clock().monotonic())
            if result.failure is None or not result.failure.detail.startswith("MissedOwnDeadline"):
                break
        return result


def _resolve_addresses_only(host: str, *rest: Any) -> list[tuple[Any, ...]]:
    """Resolve IP addresses, and no names."""
    numeric: tuple[Any, ...] = (*rest[:-1], rest[-1] | socket.AI_NUMERICHOST)
    return list(socket.getaddrinfo(host, *numeric))


@contextmanager
def raw_response_server() -> Iterator[RawResponseServer]:
    """Run the server on loopback until the end of the block."""
    pool = ConnectionPool(Clock())

    def script(peer: Peer) -> None:
        while peer.request():
            # The server keeps the requests for tests. A million of them would look like a leak.
            listener.requests.clear()
            for piece in server.response.pieces:
                peer.send(piece)
            if server.response.ending == "hold":
                continue
            if server.response.ending == "reset":
                peer.reset()
            return

    with Server(script, host=HOST) as listener:
        server = RawResponseServer(listener, pool)
        try:
            yield server
        finally:
            pool.close()
