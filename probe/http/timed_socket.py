"""Socket that knows when data was sent and received, from the timestamps of the Linux kernel.

The kernel stamps a received segment when it arrives. Its stamp comes with the data, as ancillary
data of `recvmsg`. A sent segment is stamped when it is handed to the network device, after `send`
has returned. Its stamp comes through the error queue of the socket (see
https://docs.kernel.org/networking/timestamping.html).
"""

import errno
import os
import select
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from probe.http.batch_receiver import IS_AVAILABLE, SO_TIMESTAMPNS, BatchReceiver, read_timespec
from probe.http.stopwatch import Stopwatch, Timestamp
from probe.http.tcp_info import TcpInfo

# Linux, <asm-generic/socket.h>, <linux/net_tstamp.h>, <linux/errqueue.h>; not in Python's socket.
SO_TIMESTAMPING = 37
MSG_ERRQUEUE = 0x2000
TX_SOFTWARE = 1 << 1  # stamp a segment when it is handed to the device
SOFTWARE = 1 << 4  # report software stamps
OPT_ID = 1 << 7  # number the stamps by the bytes sent
OPT_TSONLY = 1 << 11  # without a copy of the segment
_EXTENDED_ERROR = struct.Struct("@IBBBBII")
_REQUEST_TX_STAMP = [(socket.SOL_SOCKET, SO_TIMESTAMPING, struct.pack("@I", TX_SOFTWARE))]
_CONTROL_BYTES = 256

# The type of a socket that needs no system call to become non-blocking.
NON_BLOCKING_STREAM = socket.SOCK_STREAM | getattr(socket, "SOCK_NONBLOCK", 0)

# Bytes that a new connection sends before the first acknowledgement: ten segments (RFC 6928).
INITIAL_WINDOW_BYTES = 10 * 1400

HAS_KERNEL_TIMESTAMPS = sys.platform == "linux"

# Level, type and data of each control message, as `recvmsg` returns them.
AncillaryData = list[tuple[int, int, bytes]]


class TimedSocket(socket.socket):
    """A socket whose operations all end before the deadline of its stopwatch.

    It is non-blocking, and waits in `_wait`: a timeout of `socket.socket` would restart with every
    operation, and its wait would spin on transmit stamps.
    """

    stopwatch: Stopwatch
    last_received: Timestamp
    """When the last bytes were received."""
    last_sent: Timestamp
    """When the last bytes were sent."""
    first_sent: Timestamp | None = None
    """When the first bytes after the last reset to None were sent.

    Without a transmit stamp, it is the time just before `sendmsg`.
    """

    client_turn = True
    """Whether the client has to act next. If not, a delay is the server's."""

    merged = False
    """Whether the last read found several segments: the kernel keeps the stamp of the last one.

    It is only known while `counts_segments`.
    """

    counts_segments = False
    """Whether each read sets `merged`, which takes a system call."""

    stamps_all_sends = True
    """Whether the kernel stamps all bytes that are sent, or only the first ones."""

    _has_stamps = False
    _batch_receiver: BatchReceiver | None = None
    _parts: Sequence[tuple[bytes, Timestamp]] = ()
    """Data of the last batch that was not read yet, and when it arrived; the last part first."""
    _segments: int | None = 0
    """Number of segments at the last read; None if it was not counted."""
    _bytes_sent = 0
    _pending_tx_stamp: int | None = None
    """Number of the last byte sent, until its transmit stamp comes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Create a socket as `socket.socket` does."""
        super().__init__(*args, **kwargs)
        # Registered for data, which is what nearly every wait is for.
        self._poll = select.poll()
        self._poll.register(self, select.POLLIN)

    def connect_within(self, address: tuple[Any, ...], share: float) -> Timestamp:
        """Connect within a `share` (0 to 1) of the time that is left; return when it succeeded."""
        if HAS_KERNEL_TIMESTAMPS:
            _keep_receive_stamps_enabled()
        if self.gettimeout() != 0:
            self.setblocking(False)
        seconds = self.stopwatch.deadline.require_seconds_left() * share
        started = self.stopwatch.now()
        self.stopwatch.start_later(started)
        code = self.connect_ex(address)
        if code == errno.EINPROGRESS:
            code = self._wait_for_connection(seconds)
        if code:
            raise OSError(code, os.strerror(code))
        connected = self.stopwatch.timestamp()
        if HAS_KERNEL_TIMESTAMPS:
            connected = self._enable_stamps(connected, started)
        return connected

    def _wait_for_connection(self, seconds: float) -> int:
        """Return the error code of the attempt to connect, 0 if it has succeeded."""
        self._poll.modify(self, select.POLLOUT)
        ready = self._poll.poll(seconds * 1000)
        self._poll.modify(self, select.POLLIN)
        if not ready:
            raise TimeoutError("the connection was not established in time")
        # A socket that is only writable is connected. Others report an error or a hang-up, too.
        if ready[0][1] == select.POLLOUT:
            return 0
        return self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def has_input(self) -> bool:
        """Return whether data or the end of the connection was received and not read."""
        ready = self._poll.poll(0)
        return bool(self._parts or (ready and ready[0][1] & select.POLLIN))

    def start_request(self) -> None:
        """Prepare for a request, before its first byte is sent."""
        self.first_sent = None
        self.client_turn = True
        self.counts_segments = True
        if self._has_stamps and self._segments is None:
            self._segments = TcpInfo.read(self).segments

    def start_batches(self) -> None:
        """Receive in batches, which keep the timestamps of data that arrives in quick succession.

        Without kernel timestamps, there is no use for them.
        """
        if self._has_stamps and IS_AVAILABLE:
            self._batch_receiver = BatchReceiver(self)

    def stop_batches(self) -> None:
        """Receive as soon as data arrives."""
        self._batch_receiver = None

    def _enable_stamps(self, connected: Timestamp, started: int) -> Timestamp:
        """Enable kernel timestamps; return when the handshake ended, by the kernel's measurement.

        The handshake took one round trip, unless a segment was lost: then the kernel's figure is
        that of the repeated segment only, and the process's own timestamp counts. A kernel that is
        emulated may have no timestamps (gVisor, QEMU).
        """
        try:
            info = TcpInfo.read(self)
            self.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, SOFTWARE | OPT_ID | OPT_TSONLY)
            # Enabled last: it enables receive stamps, and phases between a receive stamp and a send
            # time without stamp would be wrong.
            self.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        except OSError:
            return connected
        self._has_stamps = True
        if info.retransmissions or not info.rtt:
            return connected
        return Timestamp(connected.user, min(connected.user, started + info.rtt))

    def sendall(self, data: bytes, _flags: int = 0) -> None:  # type: ignore[override]  # bytes do
        """Send all of `data` and set `last_sent`, from the transmit stamp if there is one already.

        A transmit stamp often is in the error queue before `sendmsg` returns. One that comes later
        is taken by `_wait`, which corrects the end of the phase `send`.
        """
        if not data:  # a TLS layer flushes even without data
            return
        needs_stamp = self._has_stamps and (self.stamps_all_sends or self.first_sent is None)
        ancillary = _REQUEST_TX_STAMP if needs_stamp else ()
        rest: bytes | memoryview = data
        while rest:
            self._begin_client_action()
            before = self.stopwatch.timestamp()
            try:
                count = self.sendmsg((rest,), ancillary)
            except BlockingIOError:
                self._wait(select.POLLOUT)
                continue
            self._bytes_sent += count
            rest = memoryview(rest)[count:] if count < len(rest) else b""
            self.last_sent = self.stopwatch.timestamp()
            if needs_stamp:
                self._pending_tx_stamp = (self._bytes_sent - 1) & 0xFFFFFFFF
                while self._pending_tx_stamp is not None and self._take_tx_stamp():
                    pass
            if self.first_sent is None:
                has_left = self._has_stamps and self._pending_tx_stamp is None
                self.first_sent = self.last_sent if has_left else before

    def _begin_client_action(self) -> None:
        """Raise if the deadline has passed, otherwise record that the client has acted.

        Raises MissedOwnDeadline if the client was late, TimeoutError if the server was.
        """
        if self.client_turn:
            self.stopwatch.deadline.require_seconds_left()
        elif not self.stopwatch.deadline.seconds_left():
            raise TimeoutError("the server did not read the request in time")
        self.client_turn = False

    def recv(self, size: int, _flags: int = 0) -> bytes:
        """Wait for data and return up to `size` bytes of it, nothing at the end.

        Raises TimeoutError at the deadline, and for data that arrived after it.
        """
        if self._batch_receiver or self._parts:
            return self._take_part(size)
        while True:
            self._wait(select.POLLIN)
            try:
                data, ancillary, _, _ = self.recvmsg(size, _CONTROL_BYTES)
            except BlockingIOError:
                continue
            if data:
                self._on_received(ancillary)
            return data

    def _take_part(self, size: int) -> bytes:
        """Read from the current batch, or from the next one, as `recv` does."""
        while not self._parts:
            self._receive_batch()
        *self._parts, (data, received) = self._parts
        if len(data) > size:
            self._parts.append((data[size:], received))
            data = data[:size]
        if data:
            self.last_received = received
            self.stopwatch.deadline.check_arrival(received.kernel)
            self.client_turn = True
        return data

    def _receive_batch(self) -> None:
        """Receive the next batch, which may be empty. Raises TimeoutError at the deadline.

        The thread waits in the kernel for all of the batch. So it has noticed a part when it
        arrived, but not before the call.
        """
        assert self._batch_receiver, "batches have started"
        seconds_left = self.stopwatch.deadline.seconds_left()
        if not seconds_left:
            self._wait(select.POLLIN)
        started = self.stopwatch.now()
        parts = []
        for part in self._batch_receiver.receive(seconds_left):
            arrived = self.stopwatch.timestamp(part.stamp).kernel
            parts.append((part.data, Timestamp(max(started, arrived), arrived)))
        self._parts = parts[::-1]
        if self._pending_tx_stamp is not None:
            self._take_tx_stamp()
        self._count_segments(len(parts))

    def _count_segments(self, reads: int) -> None:
        """Set `merged` after a number of `reads`."""
        if not self.counts_segments or self._segments is None:
            self._segments = None
            return
        before, self._segments = self._segments, TcpInfo.read(self).segments
        self.merged = self._segments - before > reads

    def _on_received(self, ancillary: AncillaryData) -> None:
        self.last_received = self.stopwatch.timestamp(_find_receive_stamp(ancillary))
        self.stopwatch.deadline.check_arrival(self.last_received.kernel)
        self.client_turn = True
        if self._has_stamps:
            self._count_segments(1)

    def _wait(self, event: int) -> None:
        """Wait until the socket is ready for `event`, or broken; TimeoutError at the deadline.

        Transmit stamps make this more than one `poll`. A stamp in the error queue is reported as
        POLLERR, which `poll` always watches. A stamp that is not taken out would end every
        following wait at once, and a wait for data would spin until the data comes. So
        `_drain_tx_stamps` takes the stamps out. If they were all, the wait goes on. If data came
        with them, or POLLERR means an error, the caller finds out by its read or write.

        Readiness is checked before the deadline. Data that is there when the deadline has passed
        may have arrived before it, while this process was suspended or had no CPU time. The caller
        reads it, and compares its stamp with the deadline (`Deadline.check_arrival`).
        """
        if event != select.POLLIN:
            self._poll.modify(self, event)
        try:
            while True:
                ready = self._poll.poll(self.stopwatch.deadline.seconds_left() * 1000)
                if ready and (ready[0][1] == event or not self._drain_tx_stamps(ready[0][1])):
                    return
                if not self.stopwatch.deadline.seconds_left():
                    raise TimeoutError("the deadline has passed")
        finally:
            if event != select.POLLIN:
                self._poll.modify(self, select.POLLIN)

    def _drain_tx_stamps(self, events: int) -> bool:
        """Take all transmit stamps out of the error queue.

        Return True if they were the only reason why `poll` returned.
        There may be more stamps than expected: the kernel stamps a segment again when it is lost
        and retransmitted.
        """
        taken = False
        while self._has_stamps and events & select.POLLERR and self._take_tx_stamp():
            taken = True
        return taken and events == select.POLLERR

    def _take_tx_stamp(self) -> bool:
        """Take one transmit stamp out of the error queue; return False if there is none."""
        try:
            _, ancillary, _, _ = self.recvmsg(0, _CONTROL_BYTES, MSG_ERRQUEUE)
        except BlockingIOError:
            return False
        number, stamp = _read_tx_stamp(ancillary)
        # Only the first stamp of the last byte counts: a retransmission is the network's time.
        if number is not None and number == self._pending_tx_stamp:
            self._pending_tx_stamp = None
            self.last_sent = self.stopwatch.timestamp(stamp)
            self.stopwatch.correct_send_end(self.last_sent)
        return True


@cache
def _keep_receive_stamps_enabled() -> int | None:
    """Open a socket with receive stamps for as long as the process runs; return its descriptor.

    The kernel stamps segments only while a socket in the whole system has enabled stamps, and it
    begins up to some milliseconds after the first one has. A fast response on a connection that is
    the only one with stamps would have none.
    """
    with suppress(OSError):
        keeper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        keeper.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        return keeper.detach()
    return None


def _find_receive_stamp(ancillary: AncillaryData) -> int | None:
    """Return the stamp of received data (wall clock, ns)."""
    for _, kind, data in ancillary:
        if kind == SO_TIMESTAMPNS:
            return read_timespec(data)
    return None


def _read_tx_stamp(ancillary: AncillaryData) -> tuple[int | None, int | None]:
    """Return the number of the byte that a transmit stamp belongs to (OPT_ID), and the stamp."""
    number = stamp = None
    for level, kind, data in ancillary:
        if level != socket.SOL_SOCKET:
            number = int(_EXTENDED_ERROR.unpack_from(data)[6])
        elif kind == SO_TIMESTAMPING:
            stamp = read_timespec(data)
    return number, stamp
