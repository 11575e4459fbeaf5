"""Daemon with a patched environment: `python -m tests.faults.patched_daemon HOSTS [PATCH] run ...`.

The patches replace parts of the system that a test cannot change on a real machine: name lookups,
the clock, the limit of threads, the disk. They are installed before the daemon is imported. HOSTS
is JSON, `{name: [behaviour, [address, ...]]}`. The effect of a PATCH begins with SIGUSR1; `clock`
and `threads` end it with SIGUSR2.
"""

import fcntl
import json
import os
import signal
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import count
from typing import Any, NoReturn

HOUR_NS = 3600 * 1_000_000_000
SLOW_LOOKUP_SECONDS = 0.15


def patch_lookups(hosts: dict[str, Any]) -> None:
    """Look up these hosts with the given behaviour, and all others in the usual way."""
    original = socket.getaddrinfo
    lookups: dict[str, count[int]] = defaultdict(count)

    def getaddrinfo(host: Any, port: Any, *options: Any, **keywords: Any) -> Any:
        flags = options[-1] if options else 0
        if host not in hosts or flags & socket.AI_NUMERICHOST:
            return original(host, port, *options, **keywords)
        behaviour, addresses = hosts[host]
        if behaviour == "no response":
            threading.Event().wait()
        if behaviour == "slow":
            time.sleep(SLOW_LOOKUP_SECONDS)
        if behaviour == "every second fails" and next(lookups[host]) % 2:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [
            (_family(address), socket.SOCK_STREAM, 6, "", tuple(address)) for address in addresses
        ]

    socket.getaddrinfo = getaddrinfo


def _family(address: list[Any]) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def patch_clock() -> None:
    """Set the wall clock, including kernel timestamps, one hour ahead between the signals."""
    original, offset = time.time_ns, 0
    changes = [(0, 0)]  # time of each change and the offset since then

    def change(number: int, _: Any) -> None:
        nonlocal offset
        offset = HOUR_NS if number == signal.SIGUSR1 else 0
        changes.append((original(), offset))

    time.time_ns = lambda: original() + offset
    _on_signals(change)

    from probe.http import batch_receiver, timed_socket

    original_read_timespec = batch_receiver.read_timespec

    def read_timespec(data: bytes) -> int:
        stamp = original_read_timespec(data)
        # The kernel would have used the offset at the time of the stamp.
        return stamp + next(since for at, since in reversed(changes) if at <= stamp)

    vars(timed_socket)["read_timespec"] = read_timespec


def patch_threads() -> None:
    """Let no thread start between the signals, as at a limit of the system or of a container.

    Idle threads end at once, so that each run needs a new thread.
    """
    from probe import threads

    threads.MAX_IDLE_SECONDS = 0.001
    original, at_limit = threading.Thread.start, False

    def toggle(number: int, _: Any) -> None:
        nonlocal at_limit
        at_limit = number == signal.SIGUSR1

    def start(thread: threading.Thread) -> None:
        if at_limit:
            raise RuntimeError("can't start new thread")
        original(thread)

    threading.Thread.start = start  # type: ignore[assignment, method-assign]
    _on_signals(toggle)


def patch_log_to_full_disk() -> None:
    """Write the log to a full disk after the signal."""
    _redirect_log(lambda: os.open("/dev/full", os.O_WRONLY))


def patch_log_to_unread_pipe() -> None:
    """Write the log to a full pipe without a reader after the signal."""
    _redirect_log(_full_pipe)


def _full_pipe() -> int:
    _, writer = os.pipe()
    os.write(writer, bytes(fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)))
    return writer


def _redirect_log(open_descriptor: Callable[[], int]) -> None:
    """Log everything, after the signal to another file descriptor."""
    os.environ["INFERENCE_PROBE_LOG_LEVEL"] = "debug"
    _on_signals(lambda *_: os.dup2(open_descriptor(), 2))


PATCHES: dict[str, Callable[[], None]] = {
    "clock": patch_clock,
    "threads": patch_threads,
    "log to full disk": patch_log_to_full_disk,
    "log to unread pipe": patch_log_to_unread_pipe,
}


def _on_signals(handler: Callable[[int, Any], Any]) -> None:
    signal.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR2, handler)


def main() -> NoReturn:
    """Install the patches and run the command."""
    command = sys.argv.index("run")
    hosts, *patches = sys.argv[1:command]
    patch_lookups(json.loads(hosts))
    for name in patches:
        PATCHES[name]()

    from probe.cli.main import main as cli

    cli(sys.argv[command:])


if __name__ == "__main__":
    main()
