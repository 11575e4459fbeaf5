"""Child processes, their CPU time and their memory."""

import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# For the end of a process after SIGTERM.
TERMINATION_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMemory:
    """Resident and proportional memory in MB (10^6 bytes)."""

    resident: float
    proportional: float

    def __str__(self) -> str:
        return f"{self.resident:.1f} / {self.proportional:.1f}"


@contextmanager
def run_process(
    *command: str | Path,
    stderr: IO[str] | int | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[str]"]:
    """Run a process until the end of the block; the caller reads its standard output."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, cwd=cwd, env=env, text=True
    )
    try:
        yield process
    finally:
        terminate(process)


def terminate(process: "subprocess.Popen[str]") -> None:
    """End a process with SIGTERM, and with SIGKILL if that takes too long."""
    process.terminate()
    try:
        process.communicate(timeout=TERMINATION_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, including its threads that have ended.

    /proc/PID/stat has the same value with a resolution of 10 ms. This is the clock behind it; its
    id consists of the complement of the pid and the scheduler's clock (<linux/posix-timers.h>).
    """
    return time.clock_gettime(~pid << 3 | 2)


def ended_children_cpu_seconds(pid: int) -> float:
    """Return the CPU time of the child processes that have ended, with a resolution of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> tuple[float, float]:
    """Return the current and the highest resident memory of a process, in MB (10^6 bytes).

    Raises ProcessLookupError if it has ended.
    """
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    if "VmRSS" not in fields:
        raise ProcessLookupError(f"process {pid} has ended")
    current, highest = (int(fields[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
    return current, highest


def proportional_memory(pid: int) -> float:
    """Return the memory of a process in MB (10^6 bytes), with its share of pages of several."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(map(int, re.findall(r"^Pss: *(\d+)", text, re.MULTILINE))) * 1024 / 1e6


def total_memory(pids: Iterable[int]) -> ProcessMemory:
    """Return the sum of the memory of processes."""
    pids = list(pids)
    return ProcessMemory(
        resident=sum(memory(pid)[0] for pid in pids),
        proportional=sum(map(proportional_memory, pids)),
    )


def child_pids(pid: int) -> list[int]:
    command = ("ps", "--ppid", str(pid), "--format", "pid=")
    # The exit code is 1 if there are none.
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return list(map(int, done.stdout.split()))


def children_memory(pid: int) -> float:
    """Return the resident memory of the child processes of a process, in MB (10^6 bytes)."""
    command = ("ps", "--ppid", str(pid), "--format", "rss=")
    # The exit code is 1 if there are none.
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return sum(map(int, done.stdout.split())) * 1024 / 1e6


def socket_memory(port: int) -> float:
    """Return the kernel memory of the TCP connections of a local port, in MB (10^6 bytes).

    Of each socket: received bytes, bytes to send, and memory that is reserved (`skmem` in ss(8)).
    """
    command = ("ss", "--tcp", "--memory", "--numeric", "--no-header", f"sport = :{port}")
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return sum(map(int, re.findall(r"[(,][rfw](\d+)", done.stdout))) / 1e6
