"""The daemon in a process under a condition: python -m tests.faults.daemon CONDITION... run ...

Conditions are what no test may do to a machine: its names, its clock, its threads, its disk. They
are put between the daemon and the system before the daemon is imported. Those that come and go
begin with SIGUSR1 and end with SIGUSR2.
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

NAME = "model.test"
"""The host whose lookups the condition `names` is about."""

HOUR = 3600 * 1_000_000_000
SLOW = 0.15


def names(way: str, addresses: str) -> None:
    """Look-ups of NAME go that way and give these addresses: JSON of `[[host, port], ...]`."""
    asked, system = count(), socket.getaddrinfo
    found = [
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
        if way == "dead":
            threading.Event().wait()
        if way == "slow":
            time.sleep(SLOW)
        if way == "flapping" and next(asked) % 2:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return found

    socket.getaddrinfo = getaddrinfo


def clock() -> None:
    """The wall clock is an hour ahead from the one signal to the other, the kernel's stamps too."""
    system, ahead = time.time_ns, 0
    steps = [(0, 0)]

    def step(number: int, _: Any) -> None:
        nonlocal ahead
        ahead = HOUR if number == signal.SIGUSR1 else 0
        steps.append((system(), ahead))

    time.time_ns = lambda: system() + ahead
    _on_signals(step)

    from probe.http import timed_socket

    stamp_in = timed_socket._find_stamp

    def stepped(*control: Any) -> int | None:
        stamp = stamp_in(*control)
        return stamp and stamp + next(by for at, by in reversed(steps) if at <= stamp)

    timed_socket._find_stamp = stepped  # type: ignore[assignment]


def threads() -> None:
    """No thread starts between the signals, as where a system or a container has a limit."""
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
    """From the signal on the disk that takes the log is full."""
    _log_elsewhere(lambda: os.open("/dev/full", os.O_WRONLY))


def unread() -> None:
    """From the signal on the log goes to a full pipe, whose reader does not read."""
    _log_elsewhere(_full_pipe)


def _full_pipe() -> int:
    _, writer = os.pipe()
    os.write(writer, bytes(fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)))
    return writer


def _log_elsewhere(descriptor: Callable[[], int]) -> None:
    """All that there is to tell, from the signal on."""
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
    at = sys.argv.index("run")
    condition, *words = sys.argv[1:at]
    CONDITIONS[condition](*words)

    from probe.cli.main import main as cli

    cli(sys.argv[at:])


if __name__ == "__main__":
    main()
