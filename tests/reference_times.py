"""Endpoint in a separate process that reports how long it really took for each response.

The time of arrival comes from the kernel, so that it is exact even if the machine is busy.
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
    """Serve one connection at a time; write the port and the seconds of each response to stdout."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # and so each connection
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        data, control, _, _ = connection.recvmsg(65536, 256)
        if not data:
            continue
        whole_seconds, nanoseconds = struct.unpack_from("@qq", control[0][2])
        arrived = whole_seconds + nanoseconds / 1e9
        time.sleep(delay)
        seconds = time.time() - arrived
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        connection.close()
        print(seconds, flush=True)


class ReferenceServer:
    """Runs the endpoint and reads the times that it reports."""

    def __init__(self, *, delay: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(delay)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        self._output = self._process.stdout
        self.url = f"http://127.0.0.1:{int(self._output.readline())}/"

    def read_seconds(self) -> float:
        """Return the seconds of the next response that was not read yet; call it once for each."""
        return float(self._output.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()


if __name__ == "__main__":
    serve(float(sys.argv[1]))
