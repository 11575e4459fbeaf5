"""Streams that are received in batches: see probe/http/batch_receiver.py."""

import ctypes
import errno
import socket
import struct
from typing import Any
from unittest.mock import Mock

import pytest

from probe.http import batch_receiver, timed_socket
from probe.http.batch_receiver import BATCH_SECONDS
from probe.http.pool import ConnectionPool
from probe.result import Reason, Result
from tests.http.conftest import Authority, Serve
from tests.prober.test_streams import DONE, HEAD, OPENAI, STOP, USAGE, chunk, event, stream, token
from tests.probing import make_prober, reason, run, run_scheduled
from tests.raw_servers import Peer, Script

pytestmark = pytest.mark.timing

GAP_SECONDS = 0.02
TOKENS = (token(), GAP_SECONDS) * 14
STREAM = (*TOKENS, token(), STOP, USAGE, DONE)


def without_delay(script: Script) -> Script:
    """Return a script whose server sends each token at once, without Nagle's algorithm."""

    def started(peer: Peer) -> None:
        peer.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        script(peer)

    return started


def token_times(result: Result) -> tuple[float, ...]:
    assert result.stream
    return result.stream.token_times


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_each_token_has_its_time(serve: Serve, authority: Authority, tls: bool) -> None:
    """The stream takes longer than a batch."""
    assert len(TOKENS) / 2 * GAP_SECONDS > BATCH_SECONDS
    context = authority.context() if tls else None
    server = serve(without_delay(stream(*STREAM)), context=context)

    result = run(server.url(), stream=OPENAI, tls=authority.tls)

    assert reason(result) is None
    times = token_times(result)
    assert len(times) == 15
    assert times[-1] - times[0] == pytest.approx(14 * GAP_SECONDS, rel=0.2)


def test_without_recvmmsg(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems receive as soon as data arrives."""
    monkeypatch.setattr(timed_socket, "IS_AVAILABLE", False)

    result = run(serve(without_delay(stream(*STREAM))).url(), stream=OPENAI)

    assert reason(result) is None
    assert len(token_times(result)) == 15


@pytest.mark.parametrize(
    ("code", "found"), [(errno.EBADF, True), (errno.ENOSYS, False), (errno.EPERM, False)]
)
def test_a_sandbox_may_forbid_recvmmsg(
    monkeypatch: pytest.MonkeyPatch, code: int, found: bool
) -> None:
    """Then it is not used."""
    library = Mock()
    library.recvmmsg.side_effect = lambda *_: ctypes.set_errno(code)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)

    assert (batch_receiver._find_recvmmsg() is not None) is found


def control_message(kind: int, data: bytes) -> bytes:
    """Return a control message, with its length as the kernel sets it and aligned."""
    message = struct.pack("@Nii", 16 + len(data), socket.SOL_SOCKET, kind) + data
    return message.ljust(-(-len(message) // 8) * 8, b"\0")


STAMP = control_message(batch_receiver.SO_TIMESTAMPNS, struct.pack("@ll", 3, 7))
# Linux, <asm-generic/socket.h>: SO_RXQ_OVFL, the number of dropped packets.
OTHER = control_message(40, b"\1\0\0\0")


@pytest.mark.parametrize(
    ("control", "stamp"),
    [(STAMP, 3_000_000_007), (OTHER + STAMP, 3_000_000_007), (OTHER, None), (b"", None)],
)
def test_stamps_in_control_messages(control: bytes, stamp: int | None) -> None:
    """Other control messages may precede the stamp, or come without one."""
    before = b"\xff" * batch_receiver.CONTROL_BYTES
    buffer = bytearray(before + control + STAMP)
    end = len(before) + len(control)

    assert batch_receiver._find_stamp(buffer, len(before), end) == stamp


def test_the_wait_for_the_end_of_a_batch_is_no_correction(serve: Serve) -> None:
    """The thread has noticed the data when it arrived."""
    result = run(serve(without_delay(stream(*STREAM))).url(), stream=OPENAI)

    assert result.clock == "kernel"
    assert result.correction < GAP_SECONDS


def test_a_long_event(serve: Serve) -> None:
    """An event may be longer than a read, and than a batch."""
    text = "a" * 60_000

    result = run(
        serve(stream(token(text), token(text), STOP)).url(),
        stream=OPENAI,
        expect={"body_matches": "^a{120000}$"},
    )

    assert reason(result) is None


def test_a_reset_after_a_token(serve: Serve) -> None:
    """The token counts, and the failure is that of the connection."""

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + chunk(event(token())))
        peer.pause(GAP_SECONDS)
        peer.send(chunk(event(token())))
        peer.reset()

    result = run(serve(script).url(), stream=OPENAI)

    assert reason(result) is Reason.RESET
    assert token_times(result)


@pytest.mark.parametrize(
    ("surplus", "connections"), [(b"", 1), (b"HTTP/1.1 200 OK\r\n", 3)], ids=["none", "response"]
)
def test_reused_connections(
    serve: Serve, pool: ConnectionPool, surplus: bytes, connections: int
) -> None:
    """A connection is reused, unless more than the stream has come with its last batch."""

    def script(peer: Peer) -> None:
        while peer.request():
            peer.send(HEAD)
            for part in (token(), token(), STOP):
                peer.send(chunk(event(part)))
                peer.pause(GAP_SECONDS / 4)
            peer.send(b"0\r\n\r\n")
            peer.pause(GAP_SECONDS / 4)
            peer.send(surplus)

    server = serve(without_delay(script))
    prober = make_prober(server.url(), pool=pool, stream=OPENAI)

    results = [run_scheduled(prober) for _ in range(3)]

    assert [reason(result) for result in results] == [None] * 3
    assert server.connections == connections


def options(**keys: Any) -> dict[str, Any]:
    return {"stream": OPENAI, "timeout": "5s", **keys}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"stall_timeout": "100ms"}, Reason.STALL_TIMEOUT),
        ({"timeout": "400ms"}, Reason.BODY_TIMEOUT),
    ],
    ids=["stall", "run"],
)
def test_deadlines(serve: Serve, keys: dict[str, Any], expected: Reason) -> None:
    """A deadline that passes in a batch fails the run, and ends the latency."""
    server = serve(stream(*TOKENS, 3.0, token(), STOP))

    result = run(server.url(), **options(**keys))

    assert reason(result) is expected
    assert result.latency < 0.6
