"""The seam to the network: a transport adapter for requests, on sockets that keep time."""

from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPMessage, IncompleteRead
from typing import Any
from urllib.parse import SplitResult, urlsplit

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from probe.http.connection import DEFAULT_PORTS, Connection, Dialer, authority, proxy_credentials
from probe.http.response import StrictHTTPResponse, strip_header_value
from probe.http.response_reader import ResponseReader
from probe.http.timed_socket import INITIAL_WINDOW_BYTES
from probe.http.timing import Stopwatch
from probe.result import Phase

MAX_ORIGINS = 4
"""Of how many origins a pool keeps connections: http and https of one host are two."""

Origin = tuple[str, str | None, int]


class ConnectionPool:
    """Idle connections of one probe, by scheme, host and port. Safe to use from many threads."""

    def __init__(self) -> None:
        self._idle: dict[Origin, list[Connection]] = {}
        self._closed = False

    def take(self, url: SplitResult, watch: Stopwatch) -> Connection | None:
        """An idle connection that the server has not closed, the last used one first."""
        idle = self._idle.get(_origin(url), [])
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread was faster
                break
            if connection.alive():
                connection.timed.watch = watch
                return connection
            connection.close()
        return None

    def give(self, url: SplitResult, connection: Connection) -> None:
        self._idle.setdefault(_origin(url), []).append(connection)
        for oldest in list(self._idle)[:-MAX_ORIGINS]:  # a server may redirect to ever new ports
            _close(self._idle.pop(oldest, []))
        if self._closed:  # the probe was changed or removed while this run was under way
            self.close()

    def close(self) -> None:
        """Close what is idle, and from now on also what is given back."""
        self._closed = True
        for idle in list(self._idle.values()):
            _close(idle)


def _origin(url: SplitResult) -> Origin:
    """Without the user, which is not the connection's."""
    return url.scheme, url.hostname, url.port or DEFAULT_PORTS[url.scheme]


def _close(idle: list[Connection]) -> None:
    with suppress(IndexError):  # another thread was faster
        while idle:
            idle.pop().close()


class ResponseStream:
    """A request that was sent and its answer: the raw response that requests reads the body from.

    It is over when the body has been read to its end, or when it is closed.
    """

    def __init__(
        self, url: SplitResult, connection: Connection, pool: ConnectionPool | None
    ) -> None:
        self._url = url
        self._connection = connection
        self._pool = pool
        self._pooled = False
        self._inbox = ResponseReader(connection.stream, connection.timed, connection.timed.watch)
        self._answer: StrictHTTPResponse

    def begin(self, message: Sequence[bytes], method: str) -> StrictHTTPResponse:
        """Send the request; the answer up to its headers."""
        timed = self._connection.timed
        timed.watch.begin(Phase.SEND)
        timed.departed = timed.watch.mark()
        timed.our_turn = True
        # a server may answer before it has read it all, and close: the answer tells more
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in message:
                self._connection.stream.sendall(piece)
        if len(message) == 1:  # it left all at once: the time before is ours
            timed.watch.since(timed.departed.kernel)
        timed.watch.begin(Phase.WAIT, at=timed.departed)
        self._answer = StrictHTTPResponse(self._inbox, method)
        self._answer.begin()
        return self._answer

    def read(self, amount: int) -> bytes:
        """The next bytes of the body, as they were sent: requests asks until there are none."""
        data = self._answer.read(amount)
        if not data:
            if self._answer.length:
                raise IncompleteRead(b"", self._answer.length)
            self._end()
        return data

    def _end(self) -> None:
        self._connection.timed.watch.end(self._connection.timed.arrived)
        if self._pool and not self._answer.will_close:
            self._pooled = True
            self._pool.give(self._url, self._connection)
        else:
            self.close()

    def close(self) -> None:
        if not self._pooled:  # from then on it may be another run's
            self._connection.close()


class Transport(BaseAdapter):
    """Sends the requests of one run of a probe and times their phases. The host of the first is
    the one that the config means; to all others it does not say who it is, and their connections
    it does not keep.

    Without a pool every request opens a connection and closes it. The deadline is the stopwatch's,
    certificates are the dialer's and the proxy is this object's: of what requests passes to `send`
    only the request counts.
    """

    def __init__(
        self,
        dialer: Dialer,
        watch: Stopwatch,
        *,
        pool: ConnectionPool | None = None,
        proxy: SplitResult | None = None,
    ) -> None:
        super().__init__()
        self._dialer = dialer
        self._watch = watch
        self._pool = pool
        self._proxy = proxy
        self._exchange: ResponseStream | None = None
        self._home: str | None = None
        self.certificate_not_after: float | None = None
        """When the certificate of the last server expires (Unix seconds); None without TLS."""

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        """The answer up to its headers; its body is to be read at once.

        Raises what the network raises: OSError, TimeoutError, ssl.SSLError, HTTPException and
        the ProbeErrors. The stopwatch knows in which phase it happened.
        """
        url = urlsplit(request.url or "")
        self._home = self._home or url.hostname
        home = url.hostname == self._home
        pool = self._pool if home else None
        connection = pool.take(url, self._watch) if pool else None
        connection = connection or self._dialer.dial(url, self._watch, self._proxy, home=home)
        self.certificate_not_after = connection.certificate_not_after
        self._exchange = ResponseStream(url, connection, pool)
        proxied = self._proxy if url.scheme == "http" else None
        answer = self._exchange.begin(serialise(request, url, proxied), request.method or "GET")
        return self._response(request, answer, self._exchange)

    def _response(
        self, request: PreparedRequest, answer: StrictHTTPResponse, raw: ResponseStream
    ) -> Response:
        response = Response()
        response.status_code = answer.status
        response.reason = answer.reason
        response.headers = CaseInsensitiveDict(_merged(answer.headers))
        response.url = request.url or ""
        response.request = request
        response.raw = raw
        return response

    def close(self) -> None:
        """Give up an exchange that has not come to its end."""
        if self._exchange:
            self._exchange.close()


def serialise(request: PreparedRequest, url: SplitResult, proxy: SplitResult | None) -> list[bytes]:
    """The bytes of a request. What fits into one flight is one piece: one instant of sending.

    To a proxy the target is the whole URL (RFC 9112, 3.2.2).
    """
    target = f"http://{authority(url)}{request.path_url}" if proxy else request.path_url
    headers = CaseInsensitiveDict[str | bytes]({"Host": authority(url)})
    headers.update(request.headers)
    credentials = proxy_credentials(proxy) if proxy else None
    if credentials:
        headers["Proxy-Authorization"] = credentials
    lines = [f"{request.method} {target} HTTP/1.1"]
    lines += [f"{name}: {_text(value)}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    body = request.body or b""
    assert isinstance(body, (str, bytes)), "no probe streams its body"
    body = body.encode() if isinstance(body, str) else body
    if len(head) + len(body) <= INITIAL_WINDOW_BYTES:
        return [head + body]
    return [head, body]  # of a copy of megabytes glibc keeps the memory, for each thread its own


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _merged(headers: HTTPMessage) -> dict[str, str]:
    """Headers that came more than once are one list (RFC 9110, 5.3)."""
    merged: dict[str, str] = {}
    for name, written in headers.items():
        key, value = name.lower(), strip_header_value(written)
        merged[key] = f"{merged[key]}, {value}" if key in merged else value
    return merged
