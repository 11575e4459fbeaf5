"""A socket that keeps time: the kernel's stamps of what was sent and what arrived."""

import select
import socket
import struct
import sys
from typing import Any, NamedTuple

from probe.clock import SECOND
from probe.http.timing import Stopwatch, Timestamp

# Linux, <asm-generic/socket.h>, <linux/net_tstamp.h>, <linux/errqueue.h>; not in Python's socket.
SO_TIMESTAMPNS = 35
SO_TIMESTAMPING = 37
MSG_ERRQUEUE = 0x2000
TX_SOFTWARE = 1 << 1  # stamp a segment when it is handed to the device
SOFTWARE = 1 << 4  # report software stamps
OPT_ID = 1 << 7  # number the stamps by the bytes sent
OPT_TSONLY = 1 << 11  # without a copy of the segment
_TIMESPEC = struct.Struct("@ll")
_EXTENDED_ERROR = struct.Struct("@IBBBBII")
_STAMP_THIS = [(socket.SOL_SOCKET, SO_TIMESTAMPING, struct.pack("@I", TX_SOFTWARE))]
_CONTROL = 256

# <linux/tcp.h>, struct tcp_info: microseconds, counts.
_RTT, _TOTAL_RETRANS, _DATA_SEGS_IN, _TCP_INFO = 68, 100, 152, 160

INITIAL_WINDOW_BYTES = 10 * 1400
"""Bytes that a new connection sends without waiting for an answer (RFC 6928: ten segments)."""

Control = list[tuple[int, int, bytes]]

HAS_KERNEL_TIMESTAMPS = sys.platform == "linux"


class TcpInfo(NamedTuple):
    """What the kernel knows of a connection; `rtt` in nanoseconds."""

    rtt: int
    retransmissions: int
    segments: int

    @classmethod
    def parse(cls, info: bytes) -> "TcpInfo":
        rtt, retransmissions, segments = (
            int.from_bytes(info[offset : offset + 4], sys.byteorder)
            for offset in (_RTT, _TOTAL_RETRANS, _DATA_SEGS_IN)
        )
        return cls(rtt * 1000, retransmissions, segments)


class TimedSocket(socket.socket):
    """A socket whose every operation keeps within its stopwatch's deadline.

    It waits by itself, and not by a timeout, because a stamp in the error queue wakes whoever
    waits for data: it has to be taken out, or the wait would spin.
    """

    stopwatch: Stopwatch
    last_received: Timestamp
    """When the last bytes arrived."""
    last_sent: Timestamp
    """When the last bytes were sent."""
    first_sent: Timestamp | None = None
    """When the first bytes were sent, since somebody last set this to None."""

    client_turn = True
    """Whether the server has done all that it had to for now."""

    merged = False
    """Whether the last bytes came in several segments, of which one time is known: the last's."""

    _stamps = False
    _segments = 0
    _sent = 0
    _pending_tx_stamp: int | None = None
    """The byte whose stamp is to come, the last one sent; None when it came."""

    def connect_within(self, address: tuple[Any, ...], share: float) -> Timestamp:
        """Connect within a share (0 to 1) of the time that is left; when the connection stood."""
        self.settimeout(self.stopwatch.require_seconds_left() * share)
        began = self.stopwatch.now()
        self.stopwatch.start_later(began)
        self.connect(address)
        connected = self.stopwatch.timestamp()
        self.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self, select.POLLIN)
        if HAS_KERNEL_TIMESTAMPS:
            connected = self._stamp(connected, began)
        return connected

    def _stamp(self, connected: Timestamp, began: int) -> Timestamp:
        """Turn the stamps on; the handshake took what the kernel measured, if it lost nothing.

        A kernel that is played by another program may know no stamps (gVisor, QEMU).
        """
        try:
            info = self._info()
            self.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, SOFTWARE | OPT_ID | OPT_TSONLY)
            # last, as from now on what arrives has stamps: without those of what is sent they lie
            self.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        except OSError:
            return connected
        self._stamps = True
        if info.retransmissions or not info.rtt:
            return connected
        return Timestamp(connected.user, min(connected.user, began + info.rtt))

    def _info(self) -> TcpInfo:
        return TcpInfo.parse(self.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO))

    def sendall(self, data: bytes, _flags: int = 0) -> None:  # type: ignore[override]  # bytes do
        control = _STAMP_THIS if self._stamps else ()
        rest = memoryview(data)  # a TLS layer above flushes nothing now and then
        while rest:
            self._check_time()
            try:
                count = self.sendmsg((rest,), control)
            except BlockingIOError:
                self._wait(select.POLLOUT)
                continue
            self._sent += count
            rest = rest[count:]
            self.last_sent = self.stopwatch.timestamp()
            if self._stamps:
                self._pending_tx_stamp = (self._sent - 1) & 0xFFFFFFFF
                while self._pending_tx_stamp is not None and self._take_stamp():
                    pass
            self.first_sent = self.first_sent or self.last_sent

    def _check_time(self) -> None:
        """Raises where the deadline has passed: TimeoutError if the server kept us waiting."""
        if self.client_turn:
            self.stopwatch.require_seconds_left()
        elif not self.stopwatch.seconds_left():
            raise TimeoutError("the server is slow to read")
        self.client_turn = False

    def recv(self, size: int, _flags: int = 0) -> bytes:
        buffer = memoryview(bytearray(size))
        return bytes(buffer[: self.recv_into(buffer)])

    def recv_into(  # type: ignore[override]  # typeshed asks for a default that nobody uses
        self, buffer: memoryview, _size: int = 0, _flags: int = 0
    ) -> int:
        while True:
            self._wait(select.POLLIN)
            try:
                count, control, _, _ = self.recvmsg_into((buffer,), _CONTROL)
            except BlockingIOError:
                continue
            if count:
                self._on_received(control)
            return count

    def _on_received(self, control: Control) -> None:
        self.last_received = self.stopwatch.timestamp(_stamp_in(control, SO_TIMESTAMPNS))
        self.stopwatch.check_arrival(self.last_received)
        self.client_turn = True
        if self._stamps:
            before, self._segments = self._segments, self._info().segments
            self.merged = self._segments - before > 1

    def _wait(self, event: int) -> None:
        """Until the socket is ready, or broken; raises TimeoutError at the deadline.

        What lies there when the deadline has passed may have come before it, while this process
        was stopped or waited for a processor: who reads it holds its stamp against the deadline.
        """
        if event != select.POLLIN:
            self._poll.modify(self, event)
        try:
            while True:
                ready = self._poll.poll(self.stopwatch.seconds_left() * 1000)
                if ready and not self._stamps_alone(ready[0][1]):
                    return
                if not self.stopwatch.seconds_left():
                    raise TimeoutError("the deadline has passed")
        finally:
            if event != select.POLLIN:
                self._poll.modify(self, select.POLLIN)

    def _stamps_alone(self, event: int) -> bool:
        """Whether the socket is ready for nothing but stamps; they are taken out.

        All of them, also those that nobody awaits: the kernel stamps a segment again when it was
        lost and is sent once more.
        """
        taken = False
        while self._stamps and event & select.POLLERR and self._take_stamp():
            taken = True
        return taken and event == select.POLLERR

    def _take_stamp(self) -> bool:
        """Take a stamp of what was sent out of the error queue; whether there was one."""
        try:
            _, control, _, _ = self.recvmsg(0, _CONTROL, MSG_ERRQUEUE)
        except BlockingIOError:
            return False
        if self._pending_tx_stamp is not None and self._pending_tx_stamp == _number(control):
            self._pending_tx_stamp = (
                None  # it has left: what comes of it on the way is the server's time
            )
            self.last_sent = self.stopwatch.timestamp(_stamp_in(control, SO_TIMESTAMPING))
            self.stopwatch.correct_send_end(self.last_sent)
        return True


def _stamp_in(control: Control, kind: int) -> int | None:
    """The first stamp of a kind in the ancillary data (wall clock, ns)."""
    for _, found, data in control:
        if found == kind:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds) * SECOND + int(nanoseconds)
    return None


def _number(control: Control) -> int | None:
    """Which byte a stamp of the error queue is about."""
    for level, _, data in control:
        if level != socket.SOL_SOCKET:
            return int(_EXTENDED_ERROR.unpack_from(data)[6])
    return None
