"""TCP server whose connections are handled by a script, each on a thread."""

import contextlib
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

Socket = socket.socket | ssl.SSLSocket


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Bytes of a request, as received."""

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names in lower case, in the order of the request."""
        lines = self.head.decode("latin-1").rstrip("\r\n").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return [(name.lower(), value.strip()) for name, _, value in pairs]

    def header(self, name: str) -> str | None:
        """Return the value of a header; fail the test if it was sent twice."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} was sent {len(values)} times: {values}"
        return values[0] if values else None


class Peer:
    """The server's end of a connection."""

    def __init__(self, server: "Server", connection: Socket) -> None:
        self.server = server
        self.connection = connection
        self._buffer = b""

    def request(self) -> Received | None:
        """Return the next request with its body, None if the client has closed the connection."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        received = Received(head=head + b"\r\n\r\n", body=b"")
        length = int(received.header("content-length") or 0)
        while len(self._buffer) < length and self._more():
            pass
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        received = Received(head=received.head, body=body)
        self.server.requests.append(received)
        return received

    def _more(self) -> bool:
        data = self.connection.recv(65536)
        self._buffer += data
        return bool(data)

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def cork(self, *, on: bool) -> None:
        """Collect what is sent from now on, until this is called again with `on=False`."""
        if sys.platform == "linux":
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, int(on))

    def drip(self, data: bytes, gap: float = 0.05) -> None:
        """Send byte by byte, with `gap` seconds after each."""
        for index in range(len(data)):
            self.send(data[index : index + 1])
            self.pause(gap)

    def pause(self, seconds: float) -> float:
        """Wait, and return how long it really took; end the script if the test is over."""
        started = time.monotonic()
        if self.server.closing.wait(seconds):
            raise ConnectionAbortedError("the test is over")
        return time.monotonic() - started

    def silence(self) -> None:
        """Keep the connection open without reading or writing, until the test is over."""
        self.server.closing.wait(60)

    def reset(self) -> None:
        """Close with an RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


Script = Callable[[Peer], None]


class Server:
    """Listens on loopback until it is closed, with TLS if there is a `context`."""

    def __init__(
        self,
        script: Script,
        *,
        context: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        receive_buffer: int | None = None,
    ) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.closing = threading.Event()
        self._script = script
        self._context = context
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind((host, 0))
        self._listener.listen(64)
        self._listener.settimeout(0.1)
        self._open: list[Socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def address(self) -> tuple[Any, ...]:
        """Socket address of the listener."""
        return tuple(self._listener.getsockname())

    @property
    def port(self) -> int:
        return int(self.address[1])

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        scheme = "https" if self._context else "http"
        return f"{scheme}://{host}:{self.port}{path}"

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:  # `close` shut the listener down
                return
            self.connections += 1
            connection.settimeout(20)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads = [*(other for other in self._threads if other.is_alive()), thread]
            thread.start()

    def _serve(self, connection: Socket) -> None:
        plain = connection
        self._open.append(plain)
        try:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            self._script(Peer(self, connection))
        except (OSError, ValueError):
            pass  # the client has gone, or the test is over
        finally:
            connection.close()
            for ended in {plain, connection}:
                self._open.remove(ended)

    def close(self) -> None:
        """End all scripts. On Linux, the shutdown ends a pending `accept` at once."""
        self.closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def http_response(body: bytes = b"ok", *headers: str, status: str = "200 OK") -> bytes:
    """Return the bytes of a response with a Content-Length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def always(response: bytes) -> Script:
    """Send `response` to every request, and keep the connection open."""

    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(response)

    return script


def once(response: bytes) -> Script:
    """Send `response` to one request, then close the connection."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(response)

    return script


def handshake_only(context: ssl.SSLContext) -> Script:
    """Do the TLS handshake, also if it fails, and close the connection without a reset."""

    def script(peer: Peer) -> None:
        secured = context.wrap_socket(
            peer.connection, server_side=True, do_handshake_on_connect=False
        )
        with contextlib.suppress(ssl.SSLError):
            secured.do_handshake()
        with socket.socket(fileno=secured.detach()) as plain:
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(65536):  # closing with unread data would send an RST
                pass

    return script


def respond_with_handshake(context: ssl.SSLContext, response: bytes) -> Script:
    """Send `response` with the last bytes of a handshake of TLS 1.2, before any request."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def script(peer: Peer) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secured = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                secured.do_handshake()
                break
            except ssl.SSLWantReadError:
                peer.send(outgoing.read())
                incoming.write(peer.connection.recv(65536))
        secured.write(response)
        peer.send(outgoing.read())
        while peer.connection.recv(65536):  # closing with unread data would send an RST
            pass

    return script


def delayed(seconds: float, response: bytes) -> Script:
    """Send `response` to every request, after `seconds`."""

    def script(peer: Peer) -> None:
        while peer.request():
            peer.pause(seconds)
            peer.send(response)

    return script


def two_responses(first: bytes, second: bytes, *, delay_seconds: float) -> Script:
    """Send two responses to every request, in one segment, with TLS in two records."""

    def script(peer: Peer) -> None:
        while peer.request():
            peer.pause(delay_seconds)
            peer.cork(on=True)
            peer.send(first)
            peer.send(second)
            peer.cork(on=False)

    return script


def never_respond(peer: Peer) -> None:
    """Read the request and send nothing."""
    peer.request()
    peer.silence()


def free_port() -> int:
    """Return a port of loopback without a listener."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Yield a port of loopback that refuses connections and that no other process can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


@contextlib.contextmanager
def full_accept_queue() -> Iterator[tuple[Any, ...]]:
    """Yield the address of a listener whose accept queue is full: the kernel drops further SYNs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()
