"""What the system asks of the process."""

import signal
import socket

ENDING = frozenset((signal.SIGTERM, signal.SIGINT))

_MOST = 4096
"""Signals that are taken in at once."""


class Signals:
    """SIGTERM, SIGINT and SIGHUP as they come. A second one that ends is not waited for.

    The main thread's. Each comes through a socket that whatever thread the kernel has chosen writes
    to: a main thread that waits for anything else does not learn of a signal that came to another.
    """

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)
        signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        for number in ENDING:
            signal.signal(number, lambda number, _: signal.signal(number, signal.SIG_DFL))
        signal.signal(signal.SIGHUP, lambda *_: None)

    def wait(self) -> frozenset[int]:
        """The numbers of those that have come by the time that there is one, each once."""
        return frozenset(self._ours.recv(_MOST))
