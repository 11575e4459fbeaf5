"""The sending side of one client's connection: TLS, a timeout for writing, and lingering close."""

import asyncio
import fcntl
import socket
import ssl
import struct
import sys
import termios
from collections.abc import Callable
from typing import Any

from probe.server.tls import TlsSession

# For the client to read what was sent: of a page one piece, of other responses all.
WRITE_TIMEOUT_SECONDS = 30.0
# After a response that ends the connection, input is discarded for this time or size. To close at
# once would reset the connection of a client that is still sending, and it would never see the
# response.
LINGER_SECONDS = 1.0
MAX_LINGER_BYTES = 1024**2


class ConnectionTransport(asyncio.Transport):
    """The transport that uvicorn sees. It ends with `lost`.

    uvicorn's requests to pause reading have no effect: `ConnectionProtocol` passes on complete
    request heads only, one at a time.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        context: ssl.SSLContext | None,
        *,
        on_sent: Callable[[], None],
    ) -> None:
        """`on_sent` is called after `close`, when all data has been sent, if the client lingers."""
        super().__init__()
        transport.set_write_buffer_limits(1)  # `pause_writing` reports any data not yet sent
        loop = asyncio.get_running_loop()
        self.tls: TlsSession | None = None
        self.linger = False
        """Whether `close` waits for the client to close the connection first."""
        self.writing_paused = False
        self._transport: asyncio.Transport | None = transport
        self._context = context
        self._on_sent = on_sent
        self._closing = False
        self._discarded_bytes = 0
        self._write_timeout = Timeout(loop, WRITE_TIMEOUT_SECONDS)
        self._linger_timeout = Timeout(loop, LINGER_SECONDS)

    # Called by uvicorn

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._transport and not self._closing and data:
            self._transport.write(self.tls.encrypt(data) if self.tls else data)

    def close(self) -> None:
        """Close the connection after the data written so far has been sent."""
        if self._closing or not self._transport:
            return
        if self.tls:
            self._transport.write(self.tls.close())
        self._closing = True
        if self.linger:
            self._transport.resume_reading()
            if not self.writing_paused:
                self._sent()
        else:
            self._transport.close()

    def is_closing(self) -> bool:
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sslcontext":  # from which uvicorn takes the scheme
            return self._context
        return self._transport.get_extra_info(name, default) if self._transport else default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    # Called by ConnectionProtocol

    def send_tls(self) -> None:
        """Send what the TLS session has to send: a part of the handshake, or an alert."""
        if self._transport and self.tls:
            self._transport.write(self.tls.pending())

    def set_reading(self, *, paused: bool) -> None:
        if self._transport and paused:
            self._transport.pause_reading()
        elif self._transport:
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        self.writing_paused = True
        self._write_timeout.start(self.reset)

    def resume_writing(self) -> None:
        self.writing_paused = False
        self._write_timeout.cancel()
        if self._closing and self.linger:
            self._sent()

    def discard(self, data: bytes) -> None:
        """Ignore data that arrives after `close`, up to a limit."""
        self._discarded_bytes += len(data)
        if self._discarded_bytes > MAX_LINGER_BYTES:
            self.abort()

    def abort(self) -> None:
        """Close the connection at once, without sending what is buffered."""
        if self._transport:
            self._transport.abort()

    def reset(self) -> None:
        """Close the connection at once, and discard also what the kernel has not sent.

        After an ordinary close the kernel keeps up to SEND_BUFFER_BYTES for a client that does not
        read, for minutes, and such a client could connect again and again.
        """
        if self._transport:
            discard = struct.pack("ii", 1, 0)
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, discard)
            self._transport.abort()

    def lost(self) -> None:
        """Free everything after the connection has been lost.

        The garbage collector, which would otherwise free the TLS buffers, may run hours later.
        """
        self._closing = True
        self._write_timeout.cancel()
        self._linger_timeout.cancel()
        self._transport = self.tls = None

    def _sent(self) -> None:
        """Wait for the client to close the connection, after the kernel has taken all data."""
        if not self._transport:
            return
        try:
            # `write_eof` of the transport may raise the same error in a callback of asyncio.
            self._transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
        except OSError:  # the client has disconnected, and is not interested in the rest
            self.abort()
            return
        self._on_sent()
        self._write_timeout.start(self.reset)
        self._linger_timeout.start(self._end_linger)

    def _end_linger(self) -> None:
        """Close the connection if the client has received all data. Otherwise check again later."""
        if not self._transport:
            return
        if _unacknowledged_bytes(self._transport.get_extra_info("socket")):
            self._linger_timeout.cancel()
            self._linger_timeout.start(self._end_linger)
        else:
            self.abort()


def _unacknowledged_bytes(sock: Any) -> int:
    """Return how much sent data, including the end of the stream, the client has not received."""
    size = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    return int.from_bytes(size, sys.byteorder)


class Timeout:
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
