"""Signals of the process: SIGTERM, SIGINT and SIGHUP."""

import signal
import socket

STOP_SIGNALS = frozenset((signal.SIGTERM, signal.SIGINT))

MAX_READ_BYTES = 4096


class Signals:
    """Receives signals. Create and use it in the main thread only.

    A second SIGTERM or SIGINT has its default effect, so it ends the process at once.

    The kernel may deliver a signal to any thread, and Python handles it in the main thread only
    when that one executes bytecode. A main thread that waits for a lock or an event would not
    notice. Hence each signal number is written to a socket from whichever thread received it
    (`set_wakeup_fd`), and `wait` reads the other end.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, lambda number, _: signal.signal(number, signal.SIG_DFL))
        signal.signal(signal.SIGHUP, lambda *_: None)

    def wait(self) -> frozenset[int]:
        """Wait for a signal; return the numbers of all signals that have arrived, each once."""
        return frozenset(self._reader.recv(MAX_READ_BYTES))
