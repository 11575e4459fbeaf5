"""Transmit stamps of the kernel: of lost segments, and on systems without timestamps."""

import ctypes
import errno
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from probe.clock import Clock
from probe.http import batch_receiver, timed_socket
from probe.http.stopwatch import Stopwatch
from probe.http.timed_socket import TimedSocket
from probe.result import Phase
from tests.http.conftest import Authority, Serve
from tests.probing import make_prober, reason, run_median
from tests.raw_servers import Peer, Server, always, delayed, http_response

pytestmark = pytest.mark.timing

if not timed_socket.HAS_KERNEL_TIMESTAMPS:
    pytest.skip("needs the kernel's timestamps: Linux", allow_module_level=True)

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # Linux, <asm-generic/socket.h>
LOST_SECONDS = 0.35

# Classic BPF (<linux/filter.h>) that drops segments of more than 100 bytes, such as a request.
# Segments without data are shorter.
FILTER = b"".join(
    struct.pack("@HBBI", *instruction)
    for instruction in (
        (0x80, 0, 0, 0),  # load the length
        (0x25, 0, 1, 100),  # if it is not greater than 100, skip the next instruction
        (0x06, 0, 0, 0),  # drop the segment
        (0x06, 0, 0, 0xFFFFFFFF),  # accept the segment
    )
)


def lose_requests(server: Server) -> None:
    """Drop the requests of all connections to `server`."""
    program = ctypes.create_string_buffer(FILTER)
    option = struct.pack("@HP", len(FILTER) // 8, ctypes.addressof(program))
    server._listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, option)


def accept_retransmission(peer: Peer) -> None:
    """Drop the request for a while, until a retransmission is accepted, then respond."""
    peer.pause(LOST_SECONDS)
    peer.connection.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
    peer.request()
    peer.pause(LOST_SECONDS)
    peer.send(http_response())
    peer.silence()


def test_a_lost_request_is_wait(serve: Serve) -> None:
    """A request was sent when it first left. Retransmissions are the network's time.

    The kernel stamps each of them. The stamps wake the thread, and cost it little CPU time.
    """
    server = serve(accept_retransmission)
    lose_requests(server)
    prober = make_prober(server.url(), headers={"X-Long": "x" * 100})
    results, cpu_seconds = [], []
    for _ in range(3):
        started = time.thread_time()
        results.append(prober.run())
        cpu_seconds.append(time.thread_time() - started)

    assert [(reason(result), result.clock) for result in results] == [(None, "kernel")] * 3
    assert min(result.phases[Phase.WAIT] for result in results) > 2 * LOST_SECONDS
    assert min(result.phases[Phase.SEND] for result in results) < 0.05
    assert min(cpu_seconds) < 0.05


@contextmanager
def refuse_options(monkeypatch: pytest.MonkeyPatch, *options: int) -> Iterator[None]:
    """Refuse these socket options, like a kernel that does not know them."""
    original = TimedSocket.setsockopt

    def setsockopt(self: TimedSocket, level: int, option: int, *value: Any) -> None:
        if level == socket.SOL_SOCKET and option in options:
            raise OSError(errno.ENOPROTOOPT, "Protocol not available")
        original(self, level, option, *value)

    with monkeypatch.context() as patched:
        patched.setattr(TimedSocket, "setsockopt", setsockopt)
        yield


@pytest.mark.parametrize("option", [batch_receiver.SO_TIMESTAMPNS, timed_socket.SO_TIMESTAMPING])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_kernel_without_timestamps(
    serve: Serve, authority: Authority, monkeypatch: pytest.MonkeyPatch, option: int, tls: bool
) -> None:
    """With an emulated kernel (gVisor), the process's clock is used, and the result says so.

    One kind of stamps alone is not enough.
    """
    server = serve(delayed(0.1, http_response()), context=authority.context() if tls else None)

    with refuse_options(monkeypatch, option):
        result = run_median(server.url(), tls=authority.tls)

    assert reason(result) is None
    assert result.clock == "user"
    assert result.phases[Phase.WAIT] == pytest.approx(0.1, abs=0.05)


def test_a_kernel_without_tcp_info(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process's clock is used."""

    def getsockopt(*_: Any) -> bytes:
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    monkeypatch.setattr(TimedSocket, "getsockopt", getsockopt)

    result = run_median(serve(always(http_response())).url())

    assert (reason(result), result.clock) == (None, "user")


def test_segments_that_are_read_together() -> None:
    """The kernel keeps the stamp of the last one. Only reads of a head are checked.

    Reads between two responses are not counted, and do not count as parts of the next one.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener, TimedSocket() as sock:
        sock.stopwatch = Stopwatch(Clock(), 5)
        sock.connect_within(listener.getsockname(), 1)
        server, _ = listener.accept()
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def receive(*segments: bytes) -> bool:
            for segment in segments:
                server.sendall(segment)
                time.sleep(0.01)
            assert sock.recv(100) == b"".join(segments)
            return sock.merged

        with server:
            sock.start_request()
            assert [receive(b"a", b"b"), receive(b"c")] == [True, False]
            sock.counts_segments = False
            receive(b"d", b"e")
            receive(b"f")
            sock.start_request()
            assert [receive(b"g"), receive(b"h", b"i"), receive(b"j")] == [False, True, False]
