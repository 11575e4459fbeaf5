"""Memory limit of a process and its children by a Linux control group."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# The memory controller of version 1.
ROOT = Path("/sys/fs/cgroup/memory")

# For the processes of a group to end after SIGKILL.
REMOVAL_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class MemoryCgroup:
    """A control group whose processes share a memory limit."""

    directory: Path

    def command(self, *command: str | Path) -> tuple[str | Path, ...]:
        """Return a command that joins the group and then runs `command` in the same process."""
        script = 'echo $$ > "$0"; exec "$@"'
        return ("sh", "-ec", script, self.directory / "cgroup.procs", *command)

    def used_megabytes(self) -> float:
        """Return the memory that cannot be reclaimed, in MB (10^6 bytes).

        It consists of anonymous memory, kernel objects and buffers of TCP sockets. Pages of files
        are left out: the kernel charges those of shared libraries to the first process that has
        read them, which is usually outside of the group.
        """
        statistics = dict(map(str.split, self._read("memory.stat").splitlines()))
        kernel = ("memory.kmem.usage_in_bytes", "memory.kmem.tcp.usage_in_bytes")
        return (int(statistics["rss"]) + sum(int(self._read(name)) for name in kernel)) / 1e6

    def count_oom_kills(self) -> int:
        """Return the number of processes that the kernel has ended because of the limit."""
        values = dict(map(str.split, self._read("memory.oom_control").splitlines()))
        return int(values["oom_kill"])

    def _read(self, name: str) -> str:
        return (self.directory / name).read_text()


@contextmanager
def memory_cgroup(limit_bytes: int) -> Iterator[MemoryCgroup | None]:
    """Create a group with a limit. At the end, kill its processes and remove it.

    None if this process cannot create one: it needs root and version 1 of the memory controller.
    """
    directory = ROOT / f"inference-probe-bench-{os.getpid()}"
    try:
        _create(directory, limit_bytes)
    except OSError:
        yield None
        return
    try:
        yield MemoryCgroup(directory)
    finally:
        _remove(directory)


def _create(directory: Path, limit_bytes: int) -> None:
    directory.mkdir()
    try:
        (directory / "memory.limit_in_bytes").write_text(str(limit_bytes))
        # The kernel counts the memory of sockets only if it has a limit.
        (directory / "memory.kmem.tcp.limit_in_bytes").write_text(str(limit_bytes))
    except OSError:
        directory.rmdir()
        raise


def _remove(directory: Path) -> None:
    """Remove a group. Children of a process that was killed may still be in it."""
    for pid in (directory / "cgroup.procs").read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    deadline = time.monotonic() + REMOVAL_TIMEOUT_SECONDS
    while True:
        try:
            return directory.rmdir()
        except OSError:  # a killed process has not ended yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
