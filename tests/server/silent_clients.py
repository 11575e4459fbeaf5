"""Clients that request a page and do not read the response."""

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

# The smallest that Linux permits. The test's own side of a connection must not hide the daemon's.
RECEIVE_BUFFER_BYTES = 2048
# From Linux' tcp_states.h.
TCP_ESTABLISHED = 1


@contextmanager
def silent_clients(
    port: int, count: int, path: str, *, address: str = "127.0.0.1", seconds_between: float = 0.0
) -> Iterator[list[socket.socket]]:
    """Open `count` connections from `address` that request `path` and read nothing."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: identity\r\n\r\n".encode()
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(closing(socket.socket()))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            client.bind((address, 0))
            client.settimeout(20)
            client.connect(("127.0.0.1", port))
            with suppress(ConnectionError):  # evicted
                client.sendall(request)
            clients.append(client)
            time.sleep(seconds_between)
        yield clients


def is_open(client: socket.socket) -> bool:
    """Return whether the server has not closed the connection of a client that reads nothing."""
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_ESTABLISHED


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def socket_memory_bytes(port: int) -> int:
    """Return the bytes in the queues of all connections to `port`, data of both directions."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # Columns: number, local address, remote address, state, send queue:receive queue.
    queues = [row[4].split(":") for row in rows if row[1].endswith(f":{port:04X}")]
    return sum(int(size, 16) for queue in queues for size in queue)
