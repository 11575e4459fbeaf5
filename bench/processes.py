"""Processes that are started, asked for what they cost, and ended by their handle."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PATIENCE = 20
"""Seconds that a process has to end when it is asked to."""


@contextmanager
def started(
    *command: str | Path, stderr: IO[str] | int | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """A process until the end of the block; its standard output is for the caller to read."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        yield process
    finally:
        end(process)


def end(process: "subprocess.Popen[str]") -> None:
    """Ask a process to end, and make it when it does not."""
    process.terminate()
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, all of its threads and those that have ended included.

    /proc/PID/stat has the same in steps of 10 ms; this is the clock behind it (Linux,
    <linux/posix-timers.h>: the complement of the pid, and the clock of the scheduler).
    """
    return time.clock_gettime(~pid << 3 | 2)


def memory(pid: int) -> tuple[float, float]:
    """Resident memory of a process in MB (10^6 bytes): now, and at its highest."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    now, highest = (int(fields[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
    return now, highest
