"""Memory limit of a process and its children by a Linux control group."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.cgroup import Cgroup, create_cgroup


class MemoryCgroup(Cgroup):
    """A control group whose processes share a memory limit."""

    __slots__ = ()

    def used_megabytes(self) -> float:
        """Return the memory that cannot be reclaimed, in MB (10^6 bytes).

        It consists of anonymous memory, kernel objects and buffers of TCP sockets. Pages of files
        are left out: the kernel charges those of shared libraries to the first process that has
        read them, which is usually outside of the group.
        """
        statistics = dict(map(str.split, self.read("memory.stat").splitlines()))
        kernel = ("memory.kmem.usage_in_bytes", "memory.kmem.tcp.usage_in_bytes")
        return (int(statistics["rss"]) + sum(int(self.read(name)) for name in kernel)) / 1e6

    def count_oom_kills(self) -> int:
        """Return the number of processes that the kernel has ended because of the limit."""
        values = dict(map(str.split, self.read("memory.oom_control").splitlines()))
        return int(values["oom_kill"])


@contextmanager
def memory_cgroup(limit_bytes: int) -> Iterator[MemoryCgroup | None]:
    """Create a group with a limit, or None, as `create_cgroup` does."""
    limits = {
        "memory.limit_in_bytes": limit_bytes,
        # The kernel counts the memory of sockets only if it has a limit.
        "memory.kmem.tcp.limit_in_bytes": limit_bytes,
    }
    with create_cgroup("memory", limits) as group:
        yield MemoryCgroup(group.directory) if group else None
