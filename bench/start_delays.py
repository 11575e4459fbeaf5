"""Delays from due times to starts: of the runs of a daemon, and of a bare timer.

    python -m bench.start_delays FILE ARGUMENTS...

runs the command `inference-probe` with these arguments, and writes the delays of its runs to FILE
at its end. It keeps 16 bytes for each run, so its memory is that of the command.
"""

import multiprocessing
import sys
import time
from array import array
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from probe.cli.main import main as run_command
from probe.metrics.recorder import Recorder

_FORK = multiprocessing.get_context("fork")


class StartDelay(NamedTuple):
    """A due time (monotonic, s), and the delay of the start (s)."""

    due: float
    seconds: float

    def overlaps(self, start: float, end: float) -> bool:
        """Return whether the wait for the start was between two instants (monotonic, s)."""
        return self.due <= end and self.due + self.seconds >= start


def read(path: Path) -> list[StartDelay]:
    """Return the delays that the command has written, in the order of its runs."""
    return _start_delays(path.read_bytes())


def _start_delays(data: bytes) -> list[StartDelay]:
    """Return the delays from pairs of a start (monotonic, s) and its delay (s)."""
    values = array("d", data)
    return [
        StartDelay(start - delay, delay)
        for start, delay in zip(values[::2], values[1::2], strict=True)
    ]


class BareTimer:
    """A process that sleeps until due times, and records its delays.

    It does nothing else: its delays are those of a Python process on this machine at that moment.
    `due_times` are seconds from the start of the timer.
    """

    def __init__(self, due_times: Callable[[], Iterable[float]]) -> None:
        self._connection, remote = _FORK.Pipe()
        self._process = _FORK.Process(target=_sleep, args=(remote, due_times), daemon=True)

    def __enter__(self) -> "BareTimer":
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()

    def start(self) -> float:
        """Begin to sleep, and return the start (monotonic, s)."""
        self._connection.send(None)
        start: float = self._connection.recv()
        return start

    def stop(self) -> list[StartDelay]:
        """End the timer, and return its delays."""
        self._connection.send(None)
        return _start_delays(self._connection.recv_bytes())


def _sleep(connection: Connection, due_times: Callable[[], Iterable[float]]) -> None:
    connection.recv()
    start = time.monotonic()
    connection.send(start)
    # Numbers in an array cause no garbage collections, which would delay the timer.
    delays = array("d")
    for seconds in due_times():
        due = start + seconds
        while (now := time.monotonic()) < due:
            time.sleep(due - now)
        delays.extend((now, now - due))
        if connection.poll():
            break
    connection.recv()
    connection.send_bytes(delays.tobytes())


def main() -> None:
    path = Path(sys.argv[1])
    values = array("d")
    observe = Recorder.observe_lag

    def observe_lag(recorder: Recorder, seconds: float) -> None:
        # One call, so that threads do not separate the two values.
        values.extend((time.monotonic(), seconds))
        observe(recorder, seconds)

    Recorder.observe_lag = observe_lag  # type: ignore[assignment, method-assign]
    try:
        run_command(sys.argv[2:])
    finally:
        path.write_bytes(values.tobytes())


if __name__ == "__main__":
    main()
