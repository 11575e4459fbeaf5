"""An endpoint that says how long it really took, in a process of its own.

It takes the time of arrival from the kernel, so that it is right even where the machine is busy.
"""

import socket
import struct
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

SO_TIMESTAMPNS = 35


def serve(delay: float) -> None:
    """One connection at a time; writes to stdout the port, then the time (s) of each answer."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # and so each connection
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        data, control, _, _ = connection.recvmsg(65536, 256)
        if not data:
            continue
        seconds, nanoseconds = struct.unpack_from("@qq", control[0][2])
        arrived = seconds + nanoseconds / 1e9
        time.sleep(delay)
        took = time.time() - arrived
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        connection.close()
        print(took, flush=True)


class ReferenceServer:
    """The endpoint, and what it said of its last answer."""

    def __init__(self, *, delay: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(delay)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self._said = self._process.stdout
        self.url = f"http://127.0.0.1:{int(self._said.readline())}/"

    def last(self) -> float:
        """How long (s) it took with the answer that came last; to be asked once for each."""
        return float(self._said.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._said.close()


if __name__ == "__main__":
    serve(float(sys.argv[1]))
