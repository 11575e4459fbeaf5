"""The seam to the network: a transport adapter for requests, on sockets that keep time."""

from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPMessage, IncompleteRead
from typing import Any
from urllib.parse import SplitResult, urlsplit

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from probe.http.connection import Connection, Dialer, authority, proxy_authorization
from probe.http.pool import ConnectionPool
from probe.http.response import StrictHTTPResponse, strip_header_value
from probe.http.response_reader import ResponseReader
from probe.http.timed_socket import INITIAL_WINDOW_BYTES
from probe.http.timing import Stopwatch
from probe.result import Phase


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
        self._inbox = ResponseReader(
            connection.stream, connection.timed, connection.timed.stopwatch
        )
        self._answer: StrictHTTPResponse

    def begin(self, message: Sequence[bytes], method: str) -> StrictHTTPResponse:
        """Send the request; the answer up to its headers."""
        timed = self._connection.timed
        timed.stopwatch.start_phase(Phase.SEND)
        timed.last_sent = timed.stopwatch.timestamp()
        timed.client_turn = True
        # a server may answer before it has read it all, and close: the answer tells more
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in message:
                self._connection.stream.sendall(piece)
        if len(message) == 1:  # it left all at once: the time before is ours
            timed.stopwatch.start_later(timed.last_sent.kernel)
        timed.stopwatch.start_phase(Phase.WAIT, at=timed.last_sent)
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
        self._connection.timed.stopwatch.end_phase(self._connection.timed.last_received)
        if self._pool and not self._answer.will_close:
            self._pooled = True
            self._pool.release(self._url, self._connection)
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
        stopwatch: Stopwatch,
        *,
        pool: ConnectionPool | None = None,
        proxy: SplitResult | None = None,
    ) -> None:
        super().__init__()
        self._dialer = dialer
        self._watch = stopwatch
        self._pool = pool
        self._proxy = proxy
        self._exchange: ResponseStream | None = None
        self._first_host: str | None = None
        self.certificate_not_after: float | None = None
        """When the certificate of the last server expires (Unix seconds); None without TLS."""

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        """The answer up to its headers; its body is to be read at once.

        Raises what the network raises: OSError, TimeoutError, ssl.SSLError, HTTPException and
        the ProbeErrors. The stopwatch knows in which phase it happened.
        """
        url = urlsplit(request.url or "")
        self._first_host = self._first_host or url.hostname
        same_host = url.hostname == self._first_host
        pool = self._pool if same_host else None
        connection = pool.acquire(url, self._watch) if pool else None
        connection = connection or self._dialer.dial(
            url, self._watch, self._proxy, same_host=same_host
        )
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
    credentials = proxy_authorization(proxy) if proxy else None
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
