"""One client's connection: HTTP as uvicorn speaks it, with an end to our patience.

uvicorn itself waits for ever for the rest of a request, and for an answer to be taken.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from probe.server.auth import certificate_names, certificate_subject
from probe.server.limits import MAX_URL_CHARS

REQUEST_TIMEOUT_SECONDS = 10.0
"""For a handshake; and for a request, from its first byte (or the connection) to the last."""

WRITE_TIMEOUT_SECONDS = 30.0
"""For a client to take what it was sent."""

LINGER_SECONDS = 1.0
"""Between a refusal and the end, so that a client that is still sending sees the refusal."""

MAX_REQUEST_HEAD_BYTES = 32 * 1024


class ClientProtocol(H11Protocol):
    """`lost` is set when it is over; `since` (the loop's time) is when it last did its part."""

    def __init__(self, config: Config, state: ServerState, allowed: tuple[str, ...]) -> None:
        """With `allowed` names a client's certificate has to have one of them."""
        super().__init__(config, state, {})
        self.lost = asyncio.Event()
        self.since = self.loop.time()
        self._allowed = frozenset(allowed)
        self._refused = False
        self._request = _Timeout(self.loop, REQUEST_TIMEOUT_SECONDS)
        self._answer = _Timeout(self.loop, WRITE_TIMEOUT_SECONDS)

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn: to send a request, or to take an answer."""
        return self.cycle is None or self.cycle.response_complete or self.flow.write_paused

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(1)  # so that `pause_writing` tells of whatever is left
        self._request.set(self._too_slow)
        shown = transport.get_extra_info("peercert")
        if self._allowed and not self._allowed & certificate_names(shown or {}):
            message = "no name in the client's certificate is one of `client_allowed_sans`"
            self._refuse(HTTPStatus.FORBIDDEN, message)
        elif shown:
            self.app_state = {"certificate": certificate_subject(shown)}

    def connection_lost(self, exc: Exception | None) -> None:
        self._request.clear()
        self._answer.clear()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # which uvicorn leaves where a client has reset
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self.waits:
            self._request.set(self._too_slow)
        super().data_received(data)
        if not self.waits:
            self._request.clear()
            self.since = self.loop.time()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer.set(self._give_up)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._answer.clear()

    def send_400_response(self, msg: str) -> None:
        """Called for whatever h11 cannot read, of which too long a head is one."""
        head, _ = self.conn.trailing_data
        if len(head) <= MAX_REQUEST_HEAD_BYTES:
            self._refuse(HTTPStatus.BAD_REQUEST, msg)
        elif b"\n" not in head[:MAX_URL_CHARS]:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG, "the URL is too long")
        else:
            message = "the headers are too long"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)

    def _give_up(self) -> None:
        self.transport.abort()

    def _too_slow(self) -> None:
        if self.conn.trailing_data[0]:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request took too long")
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._refused = True
        self._request.clear()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return self.transport.abort()
        if self.cycle:
            self.cycle.disconnected = True  # what the application says to this is not wanted
        body = f"{message}\n".encode()
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close")]
        headers.append(("Content-Length", str(len(body))))
        head = h11.Response(status_code=status, headers=headers, reason=status.phrase)
        for event in (head, h11.Data(body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        return None


class _Timeout:
    """Does something unless it is cleared in time. To set it again does not put it off.

    It knows what to do only while it is set: a connection in a cycle of references would keep its
    TLS buffers until the next full collection, which may be hours away.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._handle: asyncio.TimerHandle | None = None

    def set(self, ring: Callable[[], None]) -> None:
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, ring)

    def clear(self) -> None:
        if self._handle:
            self._handle.cancel()
            self._handle = None
