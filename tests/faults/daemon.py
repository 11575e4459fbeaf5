"""The daemon with a simulated fault: python -m tests.faults.daemon CONDITION... run ...

Conditions simulate faults that a test cannot cause on the real machine: of name lookup, clock,
threads and disk. They patch functions of the system before the daemon is imported. Temporary
conditions begin with SIGUSR1 and end with SIGUSR2.
"""

import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any, NoReturn

# The host name that the condition `names` affects.
NAME = "model.test"

HOUR_NS = 3600 * 1_000_000_000
SLOW_LOOKUP_SECONDS = 0.15


def names(way: str, addresses: str) -> None:
    """Look up NAME as `way` says, with `addresses`: JSON of `[[host, port], ...]`."""
    lookups, system = count(), socket.getaddrinfo
    results = [
        (
            socket.AF_INET6 if ":" in host else socket.AF_INET,
            socket.SOCK_STREAM,
            6,
            "",
            (host, port),
        )
        for host, port in json.loads(addresses)
    ]

    def getaddrinfo(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        flags = rest[-1] if rest else 0
        if host != NAME or flags & socket.AI_NUMERICHOST:
            return system(host, port, *rest, **more)
        if way == "hanging":
            threading.Event().wait()
        if way == "slow":
            time.sleep(SLOW_LOOKUP_SECONDS)
        if way == "alternating" and next(lookups) % 2:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return results

    socket.getaddrinfo = getaddrinfo


def clock() -> None:
    """Set the wall clock and the kernel timestamps one hour ahead between the two signals."""
    system, ahead = time.time_ns, 0
    steps = [(0, 0)]

    def step(number: int, _: Any) -> None:
        nonlocal ahead
        ahead = HOUR_NS if number == signal.SIGUSR1 else 0
        steps.append((system(), ahead))

    time.time_ns = lambda: system() + ahead
    _on_signals(step)

    from probe.http import timed_socket

    find_stamp = timed_socket._find_stamp

    def stepped(*control: Any) -> int | None:
        stamp = find_stamp(*control)
        return stamp and stamp + next(by for at, by in reversed(steps) if at <= stamp)

    timed_socket._find_stamp = stepped  # type: ignore[assignment]


def threads() -> None:
    """Let no thread start between the signals, as under a limit of the system or container."""
    start, refused = threading.Thread.start, False

    def toggle(number: int, _: Any) -> None:
        nonlocal refused
        refused = number == signal.SIGUSR1

    def refusing(thread: threading.Thread) -> None:
        if refused:
            raise RuntimeError("can't start new thread")
        start(thread)

    threading.Thread.start = refusing  # type: ignore[assignment, method-assign]
    _on_signals(toggle)


def full() -> None:
    """Write the log to a full disk, from the signal on."""
    _redirect_log(lambda: os.open("/dev/full", os.O_WRONLY))


def unread() -> None:
    """Write the log to a full pipe that is not read, from the signal on."""
    _redirect_log(_full_pipe)


def _full_pipe() -> int:
    _, writer = os.pipe()
    os.write(writer, bytes(fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)))
    return writer


def _redirect_log(descriptor: Callable[[], int]) -> None:
    """Log at the level debug, and to another descriptor from the signal on."""
    os.environ["INFERENCE_PROBE_LOG_LEVEL"] = "debug"
    _on_signals(lambda *_: os.dup2(descriptor(), 2))


CONDITIONS: dict[str, Callable[..., None]] = {
    "names": names,
    "clock": clock,
    "threads": threads,
    "full": full,
    "unread": unread,
}


def _on_signals(handle: Callable[[int, Any], Any]) -> None:
    signal.signal(signal.SIGUSR1, handle)
    signal.signal(signal.SIGUSR2, handle)


def main() -> NoReturn:
    start = sys.argv.index("run")
    condition, *arguments = sys.argv[1:start]
    CONDITIONS[condition](*arguments)

    from probe.cli.main import main as cli

    cli(sys.argv[start:])


if __name__ == "__main__":
    main()
