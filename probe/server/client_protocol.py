"""One client's connection: timeouts, size limits and TLS around uvicorn's HTTP protocol.

uvicorn waits without limit for the rest of a request, and for a client to read a response. A few
hundred slow clients could therefore keep Prometheus from scraping. `ClientProtocol` hands a request
to uvicorn only after its head is complete, and closes connections of slow clients.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from probe.server.auth import certificate_names, certificate_subject
from probe.server.limits import MAX_URL_CHARS
from probe.server.tls import TlsSession

# For the TLS handshake and the head of the first request together; then for each further head,
# from its first byte.
REQUEST_TIMEOUT_SECONDS = 10.0
# For the client to read what was sent.
WRITE_TIMEOUT_SECONDS = 30.0
# After a response that ends the connection, input is discarded for this time or size. To close at
# once would reset the connection of a client that is still sending, and it would never see the
# response.
LINGER_SECONDS = 1.0
MAX_LINGER_BYTES = 1024**2

MAX_REQUEST_HEAD_BYTES = 32 * 1024

# The first byte of a TLS record that contains a handshake message.
_TLS_HANDSHAKE = 0x16
# No request line starts with a control character: uvicorn rejects such data without more of it.
_FIRST_PRINTABLE = 0x21
_END_OF_HEAD = re.compile(rb"\n\r?\n")  # as h11 recognises it

# The state of a connection in the ASGI scope: its certificate's subject, and the protocol itself.
State = Mapping[str, Any]
HttpProtocolFactory = Callable[[State], H11Protocol]


class ClientProtocol(asyncio.Protocol):
    """Receives the bytes of one connection, and passes complete request heads to uvicorn.

    Later bytes, such as a pipelined request, wait until the response is complete. Requests have no
    body here: `Limits` rejects those that announce one.
    """

    def __init__(
        self,
        create_http: HttpProtocolFactory,
        context: ssl.SSLContext | None,
        allowed_names: frozenset[str],
        *,
        on_handshake: Callable[["ClientProtocol"], None],
        on_lost: Callable[["ClientProtocol"], None],
    ) -> None:
        """With `allowed_names`, a client needs a certificate with one of them.

        `on_handshake` is called when a TLS handshake starts, `on_lost` at the end.
        """
        self._loop = asyncio.get_running_loop()
        self._create_http = create_http
        self._context = context
        self._allowed_names = allowed_names
        self._on_handshake = on_handshake
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._tls: TlsSession | None = None
        self._http: H11Protocol | None = None
        self._buffer = bytearray()
        self._in_request = False
        self._closing = False
        self._lingering = False
        self._writing_paused = False
        self._discarded_bytes = 0
        self._request_timeout = _Timeout(self._loop, REQUEST_TIMEOUT_SECONDS)
        self._write_timeout = _Timeout(self._loop, WRITE_TIMEOUT_SECONDS)
        self._linger_timeout = _Timeout(self._loop, LINGER_SECONDS)
        self.waiting_since = self._loop.time()
        """When the client last completed a request, or connected (time of the event loop)."""

    @property
    def is_waiting(self) -> bool:
        """Whether the server waits for the client to send a request, or to read a response."""
        return not self._in_request or self._writing_paused

    @property
    def in_handshake(self) -> bool:
        """Whether a TLS handshake has started and is not complete."""
        return self._tls is not None and not self._tls.established

    def abort(self) -> None:
        """Close the connection at once, without sending what is buffered."""
        if self._transport:
            self._transport.abort()

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(1)  # `pause_writing` reports any data not yet sent
        self._request_timeout.start(self._request_timed_out)
        if not self._context:
            self._start_http({})

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (see `_end_http`)
        for timeout in (self._request_timeout, self._write_timeout, self._linger_timeout):
            timeout.cancel()
        self._closing = True
        self._end_http()
        # Dropped to free the TLS buffers now: the garbage collector may run hours later.
        self._transport = self._tls = None
        self._on_lost(self)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return self._discard(data)
        ended = False
        if self._context:
            data, ended = self._decrypt(data, self._context)
        self._buffer += data
        self._process_buffer()
        return self.close() if ended else None

    def pause_writing(self) -> None:
        self._writing_paused = True
        self._write_timeout.start(self.abort)
        if self._http:
            self._http.pause_writing()

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._write_timeout.cancel()
        if self._http:
            self._http.resume_writing()
        if self._lingering:
            self._linger()

    # Called by uvicorn, through `_HttpTransport`

    def write(self, data: bytes) -> None:
        if self._transport and not self._closing and data:
            self._transport.write(self._tls.encrypt(data) if self._tls else data)

    def close(self) -> None:
        """Close the connection after the buffered data has been sent."""
        if self._closing or not self._transport:
            return
        if self._tls:
            self._transport.write(self._tls.close())
        self._closing = True
        self._request_timeout.cancel()
        self._buffer.clear()
        if self._in_request:
            self._lingering = True
            self._transport.resume_reading()
            self._transport.write_eof()
            if not self._writing_paused:
                self._linger()
        else:
            self._transport.close()

    @property
    def is_closing(self) -> bool:
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sslcontext":
            return self._context
        return self._transport.get_extra_info(name, default) if self._transport else default

    # Called by the application, see `report_end_of_request`

    def request_finished(self) -> None:
        """Process the next request, if there is one. Called after each response."""
        # Not at once: if the application has failed, uvicorn sends its response only now.
        self._loop.call_soon(self._next_request)

    def _next_request(self) -> None:
        self._in_request = False
        if self._transport and not self._closing:
            self._transport.resume_reading()
            self._process_buffer()

    def _start_http(self, certificate: Mapping[str, Any]) -> None:
        state: dict[str, Any] = {"connection": self}
        if certificate:
            state["certificate"] = certificate_subject(certificate)
        self._http = self._create_http(state)
        self._http.connection_made(_HttpTransport(self))

    def _end_http(self) -> None:
        """Tell uvicorn that the connection is lost.

        Always without an exception: with one, uvicorn would keep its keep-alive timer, and with it
        the whole connection in memory.
        """
        if self._http:
            self._http.connection_lost(None)
            self._http = None

    def _decrypt(self, data: bytes, context: ssl.SSLContext) -> tuple[bytes, bool]:
        """Return the plaintext of `data`, and whether the TLS session has ended.

        Sends the data of the handshake, and the alert for an error.
        """
        assert self._transport
        if not self._tls:
            if data[0] != _TLS_HANDSHAKE:
                self._reject(HTTPStatus.BAD_REQUEST, "TLS is required: write https://")
                return b"", False
            self._tls = TlsSession(context)
            self._on_handshake(self)
        try:
            plaintext, ended = self._tls.decrypt(data)
        except ssl.SSLError:
            plaintext, ended = b"", True
        self._transport.write(self._tls.pending())
        if self._tls.established and not self._http:
            self._admit(self._tls.peer_certificate())
        return plaintext, ended

    def _admit(self, certificate: Mapping[str, Any]) -> None:
        if self._allowed_names and not self._allowed_names & certificate_names(certificate):
            message = "no name in the client's certificate is one of `client_allowed_sans`"
            self._reject(HTTPStatus.FORBIDDEN, message)
        else:
            self._start_http(certificate)

    def _process_buffer(self) -> None:
        """Pass the next request to uvicorn if its head is complete, or reject it if too large."""
        if self._closing or not self._transport or not self._http or not self._buffer:
            return
        if self._in_request:
            if len(self._buffer) > MAX_REQUEST_HEAD_BYTES:
                self._transport.pause_reading()
            return
        self._request_timeout.start(self._request_timed_out)
        end = _END_OF_HEAD.search(self._buffer)
        if end or self._buffer[0] < _FIRST_PRINTABLE:
            size = end.end() if end else len(self._buffer)
            head = bytes(self._buffer[:size])
            del self._buffer[:size]
            self._request_timeout.cancel()
            self._in_request = True
            self.waiting_since = self._loop.time()
            self._http.data_received(head)
        elif len(self._buffer) > MAX_REQUEST_HEAD_BYTES:
            if b"\n" not in self._buffer[:MAX_URL_CHARS]:
                self._reject(HTTPStatus.REQUEST_URI_TOO_LONG, "the URL is too long")
            else:
                message = "the headers are too long"
                self._reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)

    def _request_timed_out(self) -> None:
        if self._buffer:
            self._reject(HTTPStatus.REQUEST_TIMEOUT, "the request took too long")
        else:
            self.close()

    def _reject(self, status: HTTPStatus, message: str) -> None:
        """Send an error response without uvicorn, and close the connection."""
        body = f"{message}\n"
        self._in_request = True  # so that `close` lingers
        self.write(
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Connection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        self.close()

    def _linger(self) -> None:
        """Wait for the client to close, after all data has been sent. uvicorn does not wait."""
        self._in_request = False
        self._loop.call_soon(self._end_http)
        self._linger_timeout.start(self.abort)

    def _discard(self, data: bytes) -> None:
        self._discarded_bytes += len(data)
        if self._discarded_bytes > MAX_LINGER_BYTES:
            self.abort()


class _HttpTransport(asyncio.Transport):
    """The transport that uvicorn sees. Flow control of reading is up to `ClientProtocol`."""

    def __init__(self, client: ClientProtocol) -> None:
        super().__init__()
        self._client = client

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._client.write(bytes(data))

    def close(self) -> None:
        self._client.close()

    def is_closing(self) -> bool:
        return self._client.is_closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._client.get_extra_info(name, default)

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class _Timeout:
    """Calls a function unless cancelled in time. Starting it again does not extend it.

    The function is only known while the timeout runs: a reference cycle would keep a connection
    and its TLS buffers in memory until the garbage collector runs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._handle: asyncio.TimerHandle | None = None

    def start(self, function: Callable[[], None]) -> None:
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, function)

    def cancel(self) -> None:
        if self._handle:
            self._handle.cancel()
            self._handle = None


def report_end_of_request(app: ASGIApp) -> ASGIApp:
    """Return an ASGI application that tells the ClientProtocol in its scope when `app` returns."""

    async def reporting(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        finally:
            scope["state"]["connection"].request_finished()

    return reporting
