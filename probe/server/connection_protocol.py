"""One client's connection: timeouts, size limits and TLS around uvicorn's HTTP protocol.

uvicorn waits without limit for the rest of a request, and for a client to read a response. A few
hundred slow clients could therefore keep Prometheus from scraping. `ConnectionProtocol` hands a
request to uvicorn only after its head is complete, and closes connections of slow clients.
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
from probe.server.compression import CompressedBody
from probe.server.connection_transport import ConnectionTransport, Timeout
from probe.server.limits import MAX_URL_BYTES
from probe.server.tls import TlsSession

# For the TLS handshake and the head of the first request together; then for each further head,
# from its first byte.
REQUEST_TIMEOUT_SECONDS = 10.0
MAX_REQUEST_HEAD_BYTES = 32 * 1024

# The first byte of a TLS record that contains a handshake message.
_TLS_HANDSHAKE = 0x16
# No request line starts with a control character: h11 rejects such data without more of it.
_FIRST_PRINTABLE = 0x21
_END_OF_HEAD = re.compile(rb"\n\r?\n")  # as h11 recognises it

# The state of a connection in the ASGI scope: its certificate's subject, and the protocol itself.
State = Mapping[str, Any]
HttpProtocolFactory = Callable[[State], H11Protocol]


class ConnectionProtocol(asyncio.Protocol):
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
        on_handshake: Callable[["ConnectionProtocol"], None],
        on_body: Callable[["ConnectionProtocol"], None],
        on_lost: Callable[["ConnectionProtocol"], None],
    ) -> None:
        """With `allowed_names`, a client needs a certificate with one of them.

        `on_handshake` is called when a TLS handshake starts, `on_body` when the body of a page
        starts, and `on_lost` at the end.
        """
        self._loop = asyncio.get_running_loop()
        self._create_http = create_http
        self._context = context
        self._allowed_names = allowed_names
        self._on_handshake = on_handshake
        self._on_body = on_body
        self._on_lost = on_lost
        self._transport: ConnectionTransport | None = None
        self._http: H11Protocol | None = None
        self._buffer = bytearray()
        self._in_request = False
        self._request_timeout = Timeout(self._loop, REQUEST_TIMEOUT_SECONDS)
        self.waiting_since = self._loop.time()
        """When the client last connected, completed a request, or read all that was sent to it
        after it had been slow (time of the event loop)."""
        self.body: CompressedBody | None = None
        """The body that is being sent. Clients with the same response share it."""

    @property
    def is_waiting(self) -> bool:
        """Whether the server waits for the client to send a request, or to read a response."""
        return not (self._in_request and self._transport) or self._transport.writing_paused

    @property
    def in_handshake(self) -> bool:
        """Whether a TLS handshake has started and is not complete."""
        tls = self._transport.tls if self._transport else None
        return tls is not None and not tls.established

    @property
    def is_lost(self) -> bool:
        return self._transport is None

    def has_stalled(self, seconds: float) -> bool:
        """Return whether the client has not read what was sent to it for `seconds`."""
        is_paused = self._transport is not None and self._transport.writing_paused
        return is_paused and self._loop.time() - self.waiting_since >= seconds

    def abort(self) -> None:
        """Close the connection at once, without sending what is buffered."""
        if self._transport:
            self._transport.abort()

    def reset(self) -> None:
        """Close the connection at once, and discard also what the kernel has not sent."""
        if self._transport:
            self._transport.reset()

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = ConnectionTransport(transport, self._context, on_sent=self._end_request)
        self._request_timeout.start(self._request_timed_out)
        if not self._context:
            self._start_http(self._transport, {})

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (see `_end_http`)
        self._request_timeout.cancel()
        if self._transport:
            self._transport.lost()
        self._end_http()
        self._transport = None
        self._on_lost(self)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if not transport:
            return
        if transport.is_closing():
            transport.discard(data)
        elif self._context:
            self._receive_tls(transport, data, self._context)
        else:
            self._buffer += data
            self._process_buffer()

    def pause_writing(self) -> None:
        if self._transport:
            self._transport.pause_writing()
        if self._http:
            self._http.pause_writing()

    def resume_writing(self) -> None:
        self.waiting_since = self._loop.time()
        if self._transport:
            self._transport.resume_writing()
        if self._http:
            self._http.resume_writing()

    # Called by the application, see `BodyInPieces` and `report_end_of_request`

    def start_body(self, body: CompressedBody) -> None:
        """Register the body of the response, until the response is complete."""
        self.body = body
        self._on_body(self)

    def request_finished(self) -> None:
        """Process the next request, if there is one. Called after each response."""
        # Not at once: if the application has failed, uvicorn sends its response only now.
        self._loop.call_soon(self._next_request)

    def _next_request(self) -> None:
        self._in_request = False
        self.body = None
        if self._transport and not self._transport.is_closing():
            self._transport.linger = False
            self._transport.set_reading(paused=False)
            self._process_buffer()

    def _end_request(self) -> None:
        """End uvicorn's part of a connection that lingers.

        Otherwise uvicorn would wait for the client when it shuts down.
        """
        self._in_request = False
        self.body = None
        self._buffer.clear()
        self._loop.call_soon(self._end_http)

    def _start_http(self, transport: ConnectionTransport, certificate: Mapping[str, Any]) -> None:
        state: dict[str, Any] = {"connection": self}
        if certificate:
            state["certificate_subject"] = certificate_subject(certificate)
        self._http = self._create_http(state)
        self._http.connection_made(transport)

    def _end_http(self) -> None:
        """Tell uvicorn that the connection is lost.

        Always without an exception: with one, uvicorn would keep its keep-alive timer, and with it
        the whole connection in memory.
        """
        if self._http:
            self._http.connection_lost(None)
            self._http = None

    def _receive_tls(
        self, transport: ConnectionTransport, data: bytes, context: ssl.SSLContext
    ) -> None:
        """Continue the handshake, or decrypt `data`."""
        if not transport.tls:
            if data[0] != _TLS_HANDSHAKE:
                return self._reject(HTTPStatus.BAD_REQUEST, "TLS is required: write https://")
            transport.tls = TlsSession(context)
            self._on_handshake(self)
        try:
            plaintext, ended = transport.tls.decrypt(data)
        except ssl.SSLError:
            plaintext, ended = b"", True
        transport.send_tls()
        if transport.tls.established and not self._http:
            self._admit(transport, transport.tls.peer_certificate())
        self._buffer += plaintext
        self._process_buffer()
        return transport.close() if ended else None

    def _admit(self, transport: ConnectionTransport, certificate: Mapping[str, Any]) -> None:
        """Serve a client after its handshake if its certificate has an allowed name."""
        if self._allowed_names and not self._allowed_names & certificate_names(certificate):
            message = "no name in the client's certificate is one of `client_allowed_sans`"
            self._reject(HTTPStatus.FORBIDDEN, message)
        else:
            self._start_http(transport, certificate)

    def _process_buffer(self) -> None:
        """Pass the next request to uvicorn if its head is complete, or reject it if too large."""
        transport = self._transport
        if not transport or transport.is_closing() or not self._http or not self._buffer:
            return
        if self._in_request:
            if len(self._buffer) > MAX_REQUEST_HEAD_BYTES:
                transport.set_reading(paused=True)
            return
        self._request_timeout.start(self._request_timed_out)
        end = _END_OF_HEAD.search(self._buffer)
        if end or self._buffer[0] < _FIRST_PRINTABLE:
            size = end.end() if end else len(self._buffer)
            head = bytes(self._buffer[:size])
            del self._buffer[:size]
            self._request_timeout.cancel()
            self._in_request = transport.linger = True
            self.waiting_since = self._loop.time()
            self._http.data_received(head)
        elif len(self._buffer) > MAX_REQUEST_HEAD_BYTES:
            if b"\n" not in self._buffer[:MAX_URL_BYTES]:
                self._reject(HTTPStatus.REQUEST_URI_TOO_LONG, "the URL is too long")
            else:
                message = "the headers are too long"
                self._reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)

    def _request_timed_out(self) -> None:
        if self._buffer:
            self._reject(HTTPStatus.REQUEST_TIMEOUT, "the request took too long")
        elif self._transport:
            self._transport.close()

    def _reject(self, status: HTTPStatus, message: str) -> None:
        """Send an error response without uvicorn, and close the connection."""
        body = f"{message}\n"
        response = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Connection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self._request_timeout.cancel()
        if self._transport and not self._transport.is_closing():
            self._transport.linger = True
            self._transport.write(response.encode())
            self._transport.close()


def report_end_of_request(app: ASGIApp) -> ASGIApp:
    """Return an ASGI application that reports the end of `app` to its `ConnectionProtocol`."""

    async def reporting(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        finally:
            scope["state"]["connection"].request_finished()

    return reporting
