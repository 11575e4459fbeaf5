"""The kernel's stamps of what is sent: also of what is lost, and where there are none."""

import ctypes
import errno
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from probe.http import timed_socket
from probe.http.timed_socket import TimedSocket
from probe.result import Phase
from tests.http.conftest import Authority, Serve
from tests.probing import make_prober, reason, usual
from tests.raw_servers import Peer, Server, always, delayed, http_response

if not timed_socket.HAS_KERNEL_TIMESTAMPS:
    pytest.skip("needs the kernel's timestamps: Linux", allow_module_level=True)

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # Linux, <asm-generic/socket.h>
LOST_FOR = 0.35

# Classic BPF (<linux/filter.h>): a segment of more than 100 bytes is lost, and so is a request;
# what makes and keeps a connection is shorter.
FILTER = b"".join(
    struct.pack("@HBBI", *instruction)
    for instruction in (
        (0x80, 0, 0, 0),  # load the length
        (0x25, 0, 1, 100),  # is it greater than 100? else leave out the next
        (0x06, 0, 0, 0),  # take nothing of it
        (0x06, 0, 0, 0xFFFFFFFF),  # take it all
    )
)


def losing(server: Server) -> None:
    """Have every connection that comes lose its requests."""
    program = ctypes.create_string_buffer(FILTER)
    told = struct.pack("@HP", len(FILTER) // 8, ctypes.addressof(program))
    server._listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, told)


def found_again(peer: Peer) -> None:
    """Lose the request for a while; the client sends it again and again."""
    peer.pause(LOST_FOR)
    peer.connection.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
    peer.request()
    peer.pause(LOST_FOR)
    peer.send(http_response())
    peer.silence()


def test_a_lost_request_wakes_the_thread_and_nothing_more(serve: Serve) -> None:
    """The kernel stamps it each time that it sends it. It was sent when it left first: what is lost
    on the way is the network's, and a client waits for it.
    """
    server = serve(found_again)
    losing(server)
    prober = make_prober(server.url(), headers={"X-Long": "x" * 100})
    results, spent = [], []
    for _ in range(3):
        began = time.thread_time()
        results.append(prober.run())
        spent.append(time.thread_time() - began)

    assert [(reason(one), one.clock) for one in results] == [(None, "kernel")] * 3
    assert min(one.phases[Phase.WAIT] for one in results) > 2 * LOST_FOR
    assert min(one.phases[Phase.SEND] for one in results) < 0.05
    assert min(spent) < 0.05


@contextmanager
def refusing(monkeypatch: pytest.MonkeyPatch, *options: int) -> Iterator[None]:
    """A kernel that does not know these options."""
    known = TimedSocket.setsockopt

    def setsockopt(self: TimedSocket, level: int, option: int, *value: Any) -> None:
        if (level, option) in [(socket.SOL_SOCKET, one) for one in options]:
            raise OSError(errno.ENOPROTOOPT, "Protocol not available")
        known(self, level, option, *value)

    with monkeypatch.context() as patched:
        patched.setattr(TimedSocket, "setsockopt", setsockopt)
        yield


@pytest.mark.parametrize("option", [timed_socket.SO_TIMESTAMPNS, timed_socket.SO_TIMESTAMPING])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_kernel_without_stamps_is_done_without(
    serve: Serve, authority: Authority, monkeypatch: pytest.MonkeyPatch, option: int, tls: bool
) -> None:
    """In a sandbox that plays the kernel (gVisor) the process's own clock counts, and it says so;
    with one kind of stamps alone, too.
    """
    server = serve(delayed(0.2, http_response()), context=authority.context() if tls else None)

    with refusing(monkeypatch, option):
        result = usual(server.url(), tls=authority.tls)

    assert reason(result) is None
    assert result.clock == "user"
    assert result.phases[Phase.WAIT] == pytest.approx(0.2, abs=0.05)


def test_a_kernel_that_tells_nothing_of_connections_is_done_without(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is `TCP_INFO` known everywhere."""

    def getsockopt(*_: Any) -> bytes:
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    monkeypatch.setattr(TimedSocket, "getsockopt", getsockopt)

    result = usual(serve(always(http_response())).url())

    assert (reason(result), result.clock) == (None, "user")
