"""Receives a stream in batches, in which each part has the kernel's timestamp of its arrival.

The kernel merges segments that wait unread, and keeps the timestamp of the last one. A thread that
waits for the interpreter lock before each read would lose the times of tokens in this way.
`recvmmsg` of Linux reads repeatedly in one call, during which the thread does not need the lock.
Python's module `socket` does not have it.
"""

import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

from probe.clock import NS_PER_SECOND, nanoseconds

# A batch ends after this many reads, after this time (seconds), or after this time without data.
# The end of a batch is no timestamp, but the thread is busy until then.
BATCH_READS = 16
BATCH_SECONDS = 0.25
IDLE_SECONDS = 0.03

# Bytes of one read. The parts of a longer segment have the same timestamp.
READ_BYTES = 2048

CONTROL_BYTES = 256

# Linux, <asm-generic/socket.h>; not in Python's socket.
SO_TIMESTAMPNS = 35

# Linux, <sys/socket.h>: struct timeval, struct timespec, and struct cmsghdr without its data.
_TIMEVAL = struct.Struct("@ll")
_TIMESPEC = struct.Struct("@ll")
_CONTROL_HEADER = struct.Struct("@Nii")
_CONTROL_ALIGNMENT = ctypes.sizeof(ctypes.c_size_t)


class _IoVector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MessageHeader(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (("header", _MessageHeader), ("length", ctypes.c_uint))


_MESSAGE_BYTES = ctypes.sizeof(_Message)

# What a read sets in its message: the lengths of the control messages and of the data.
_CONTROL_LENGTH_END = _MessageHeader.control_length.offset + _MessageHeader.control_length.size
_LENGTHS = struct.Struct(
    f"@{_MessageHeader.control_length.offset}xN{_Message.length.offset - _CONTROL_LENGTH_END}xI"
)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def _find_recvmmsg() -> "ctypes._NamedFuncPointer | None":
    """Return the function of the C library; None if it or its 64-bit types are missing.

    A sandbox may forbid the call. If it does not, the kernel finds that the descriptor is invalid.
    """
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "recvmmsg", None)
    if function:
        function(-1, None, 0, 0, None)
    return function if ctypes.get_errno() == errno.EBADF else None


_recvmmsg = _find_recvmmsg()

IS_AVAILABLE = _recvmmsg is not None


class ReceivedPart(NamedTuple):
    """What one read returned. `data` is empty at the end of the connection."""

    data: bytes
    stamp: int | None
    """When it arrived by the kernel (wall clock, ns)."""


class BatchReceiver:
    """Receives from one connection, with the memory for one batch. Not thread-safe."""

    def __init__(self, sock: socket.socket) -> None:
        """Receive from `sock`, which is non-blocking between the calls."""
        self._sock = sock
        # Whether the last call has received data. Then more is likely to follow soon.
        self._is_flowing = False
        self._max_wait_seconds = 0.0
        self._data = bytearray(BATCH_READS * READ_BYTES)
        self._control = bytearray(BATCH_READS * CONTROL_BYTES)
        self._vectors = (_IoVector * BATCH_READS)()
        self._headers = bytearray(BATCH_READS * _MESSAGE_BYTES)
        self._messages = (_Message * BATCH_READS).from_buffer(self._headers)
        data, control = _address(self._data), _address(self._control)
        for index, (vector, message) in enumerate(zip(self._vectors, self._messages, strict=True)):
            vector.base, vector.length = data + index * READ_BYTES, READ_BYTES
            message.header.vectors, message.header.vector_count = ctypes.addressof(vector), 1
            message.header.control = control + index * CONTROL_BYTES
            message.header.control_length = CONTROL_BYTES
        # Each call changes the headers. To copy all of them takes less time than to set one field.
        self._initial_headers = bytes(self._headers)

    def receive(self, max_seconds: float) -> list[ReceivedPart]:
        """Return the next data, or nothing if none arrives within `max_seconds`.

        The first data is returned at once. After data, a batch may take longer than `max_seconds`,
        by IDLE_SECONDS at most. Raises OSError if the connection is broken.
        """
        if self._is_flowing:
            batch_seconds = min(max_seconds, BATCH_SECONDS)
            parts = self._receive(BATCH_READS, min(max_seconds, IDLE_SECONDS), batch_seconds)
        else:
            parts = self._receive(1, max_seconds, max_seconds)
        self._is_flowing = bool(parts)
        return parts

    def _receive(
        self, max_reads: int, max_wait_seconds: float, max_seconds: float
    ) -> list[ReceivedPart]:
        """Read up to `max_reads` times, each of which waits up to `max_wait_seconds`.

        The kernel compares `max_seconds` with the time after each read only.
        """
        self._set_max_wait(max_wait_seconds)
        self._headers[:] = self._initial_headers
        timeout = _Timespec(*divmod(nanoseconds(max_seconds), NS_PER_SECOND))
        assert _recvmmsg, "the function is available"
        fd = self._sock.fileno()
        # Reads wait in the kernel only if the socket is blocking.
        os.set_blocking(fd, True)
        try:
            count = _recvmmsg(fd, self._messages, max_reads, 0, ctypes.byref(timeout))
        finally:
            os.set_blocking(fd, False)
        if count < 0:
            code = ctypes.get_errno()
            if code in (errno.EAGAIN, errno.EINTR):
                return []
            raise OSError(code, os.strerror(code))
        return list(self._parts(count))

    def _set_max_wait(self, seconds: float) -> None:
        """Limit the time that a read waits. The limit 0 would stand for none."""
        if seconds != self._max_wait_seconds:
            self._max_wait_seconds = seconds
            whole, rest = divmod(max(1, round(seconds * 1e6)), 1_000_000)
            timeval = _TIMEVAL.pack(whole, rest)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)

    def _parts(self, count: int) -> Iterator[ReceivedPart]:
        """Yield what the first `count` reads returned, up to the end of the connection."""
        for index in range(count):
            control_length, length = _LENGTHS.unpack_from(self._headers, index * _MESSAGE_BYTES)
            start = index * READ_BYTES
            data = bytes(self._data[start : start + length])
            control = index * CONTROL_BYTES
            yield ReceivedPart(data, _find_stamp(self._control, control, control + control_length))
            if not data:
                return


def _address(buffer: bytearray) -> int:
    """Return the address of the bytes, which stays the same while the size does."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def read_timespec(data: bytes | bytearray, position: int = 0) -> int:
    """Return the time (ns) of the struct timespec at `position`."""
    seconds, nanoseconds = _TIMESPEC.unpack_from(data, position)
    return int(seconds) * NS_PER_SECOND + int(nanoseconds)


def _find_stamp(control: bytearray, position: int, end: int) -> int | None:
    """Return the stamp (ns) in the control messages from `position` to `end`."""
    while position + _CONTROL_HEADER.size <= end:
        length, level, kind = _CONTROL_HEADER.unpack_from(control, position)
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            return read_timespec(control, position + _CONTROL_HEADER.size)
        position += -(-length // _CONTROL_ALIGNMENT) * _CONTROL_ALIGNMENT
    return None
