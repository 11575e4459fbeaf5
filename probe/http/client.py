"""HTTP client of one run: a transport adapter for `requests` on sockets that measure time."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from probe.http.connection import Connection, Dialer
from probe.http.pool import ConnectionPool
from probe.http.response import UnbufferedResponse
from probe.http.response_head import ResponseHead
from probe.http.response_reader import ResponseReader
from probe.http.shared_request import serialize_request
from probe.http.stopwatch import Stopwatch, Timestamp
from probe.result import Phase


class ResponseStream:
    """One request and its response: the raw stream that `requests` reads the body from.

    It ends with the last byte of the body, or when it is closed. If the whole body was read, and
    the server keeps the connection open, the connection goes back to the pool. The caller
    ends the phase `receive`.
    """

    def __init__(
        self,
        url: SplitResult,
        connection: Connection,
        pool: ConnectionPool | None,
        *,
        in_batches: bool = False,
    ) -> None:
        """Prepare a request. `in_batches`: see `TimedSocket.start_batches`."""
        self._url = url
        self._connection = connection
        self._pool = pool
        self._in_batches = in_batches
        self._owns_connection = True
        self._last_received: Timestamp | None = None
        sock = connection.sock
        self._reader = ResponseReader(connection.stream, sock, sock.stopwatch)

    def send_request(self, pieces: Sequence[bytes], method: str) -> ResponseHead:
        """Send the `pieces` of the request and return the head of its response.

        Raises EarlyResponse or NotHttp if data arrived before the first bytes of the request were
        sent. A server may respond before it has received the whole request, e.g. with 413.
        """
        sock = self._connection.sock
        stopwatch = sock.stopwatch
        started = sock.last_sent = stopwatch.timestamp()
        stopwatch.start_phase(Phase.SEND, at=started)
        self._connection.require_no_response()
        sock.start_request()
        # A server may respond before it has read the whole request, and then close. Its response
        # says more about the failure than the broken pipe does.
        try:
            for piece in pieces:
                self._connection.stream.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        sock.first_sent = sock.first_sent or started
        # A request in one piece is sent at one instant: the time until then is the client's, and
        # `send` is 0. A larger request has a `send` phase until its last byte.
        if len(pieces) == 1:
            stopwatch.start_later(sock.last_sent.kernel)
        stopwatch.start_phase(Phase.WAIT, at=sock.last_sent)
        if self._in_batches:
            sock.start_batches()
        head = self._reader.read_head(method)
        sock.counts_segments = False
        return head

    def read(self, amount: int) -> bytes:
        """Return up to `amount` bytes of the encoded body as they arrive, and b"" at its end.

        Raises ResponseError if the connection ends before the body does.
        """
        data = self._reader.read(amount)
        if not data:
            self._end()
        return data

    @property
    def last_received(self) -> Timestamp:
        """When the last bytes arrived."""
        return self._last_received or self._connection.sock.last_received

    def _end(self) -> None:
        # Another run may use the connection as soon as it is released.
        self._last_received = self._connection.sock.last_received
        self._connection.sock.stop_batches()
        if self._pool and self._reader.is_connection_reusable:
            self._owns_connection = False
            self._pool.release(self._url, self._connection)
        else:
            self.close()

    def close(self) -> None:
        """Close the connection, unless the pool has it: another run may use it already."""
        if self._owns_connection:
            self._owns_connection = False
            self._connection.close()


class Transport(BaseAdapter):
    """Sends the requests of one run of a probe and measures their phases.

    The first request goes to the configured host. Later ones follow redirects: other hosts get
    neither the client certificate nor a pooled connection.

    Without a pool, each request opens a connection and closes it. The deadline is the stopwatch's,
    the certificates are the dialer's, and the proxy is the one given here: `send` ignores the
    arguments with which `requests` sets them.
    """

    def __init__(
        self,
        dialer: Dialer,
        stopwatch: Stopwatch,
        *,
        pool: ConnectionPool | None = None,
        proxy: SplitResult | None = None,
        in_batches: bool = False,
    ) -> None:
        """Receive the responses `in_batches` if the times of their parts matter."""
        super().__init__()
        self._dialer = dialer
        self._stopwatch = stopwatch
        self._pool = pool
        self._proxy = proxy
        self._receives_in_batches = in_batches
        self._stream: ResponseStream | None = None
        self._configured_host: str | None = None
        self.certificate_not_after: float | None = None
        """When the certificate of the last server expires (Unix seconds); None without TLS."""

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        """Return the response, read up to its headers; the caller reads the body at once.

        Raises OSError, TimeoutError, ssl.SSLError and ProbeError. The stopwatch
        knows the phase in which the error occurred.
        """
        url, pieces = serialize_request(request, self._proxy)
        connection, pool = self._connect(url)
        self.certificate_not_after = connection.certificate_not_after
        self._stream = ResponseStream(url, connection, pool, in_batches=self._receives_in_batches)
        head = self._stream.send_request(pieces, request.method or "GET")
        return UnbufferedResponse(
            status=head.status,
            reason=head.reason,
            headers=head.headers,
            request=request,
            raw=self._stream,
        )

    @property
    def last_received(self) -> Timestamp:
        """When the last bytes of the current response arrived."""
        assert self._stream, "no request was sent"
        return self._stream.last_received

    def _connect(self, url: SplitResult) -> tuple[Connection, ConnectionPool | None]:
        """Return a pooled or new connection, and the pool to release it to."""
        redirected = self._configured_host is not None
        self._configured_host = self._configured_host or url.hostname
        same_host = url.hostname == self._configured_host
        pool = self._pool if same_host else None
        if pool and (pooled := pool.acquire(url, self._stopwatch, redirected=redirected)):
            return pooled, pool
        return self._dialer.dial(url, self._stopwatch, self._proxy, same_host=same_host), pool

    def close(self) -> None:
        """Close the connection of a response that was not read to its end."""
        if self._stream:
            self._stream.close()
