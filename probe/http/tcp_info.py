"""State of a TCP connection in the Linux kernel."""

import socket
import struct

from probe.value_class import value_class

# <linux/tcp.h>, struct tcp_info: rtt at the offset 68, total_retrans at 100, data_segs_in at 152.
_STRUCT = struct.Struct("@68xI28xI48xI4x")


@value_class(frozen=True, slots=True)
class TcpInfo:
    """State of a connection in the kernel."""

    rtt: int
    """Smoothed round-trip time (ns); of a new connection, that of the handshake."""
    retransmissions: int
    segments: int
    """Segments with data that were received."""

    @classmethod
    def read(cls, sock: socket.socket) -> "TcpInfo":
        """Read the state of `sock`. What an older kernel does not report is 0. Raises OSError."""
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _STRUCT.size)
        rtt_us, retransmissions, segments = _STRUCT.unpack(info.ljust(_STRUCT.size, b"\0"))
        return cls(rtt_us * 1000, retransmissions, segments)
