"""Streaming endpoint in a separate process that reports the true times of its tokens."""

import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from tests.reference_times import SO_TIMESTAMPNS

TOKENS = 25
FIRST_TOKEN_SECONDS = 0.05

# Shorter than the time after which Python's threads give up the interpreter lock (5 ms).
GAP_SECONDS = 0.004

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
TOKEN = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
END = b'data: {"choices":[{"finish_reason":"stop"}],"usage":{"completion_tokens":%d}}\n\n' % TOKENS


def serve() -> None:
    """Serve one connection at a time; write the port and the times of each stream to stdout."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # and so each connection
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            _, control, _, _ = connection.recvmsg(65536, 256)
            seconds, nanoseconds = struct.unpack_from("@qq", control[0][2])
            arrived = seconds + nanoseconds / 1e9
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(HEAD)
            sent = []
            for number in range(TOKENS):
                due = arrived + FIRST_TOKEN_SECONDS + number * GAP_SECONDS
                time.sleep(max(0, due - time.time()))
                sent.append(time.time())
                connection.sendall(TOKEN)
            connection.sendall(END)
        print(sent[0] - arrived, (sent[-1] - sent[0]) / (TOKENS - 1), flush=True)


@dataclass(frozen=True, slots=True)
class TokenServer:
    """The running endpoint."""

    url: str
    output: IO[str]

    def read_times(self) -> tuple[float, float]:
        """Return the time to the first token and the time per token (seconds) of the next stream.

        Call it once for each stream.
        """
        first_token, time_per_token = map(float, self.output.readline().split())
        return first_token, time_per_token


@contextmanager
def token_server() -> Iterator[TokenServer]:
    """Run the endpoint."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = int(process.stdout.readline())
            yield TokenServer(f"http://127.0.0.1:{port}/", process.stdout)
        finally:
            process.kill()


if __name__ == "__main__":
    serve()
