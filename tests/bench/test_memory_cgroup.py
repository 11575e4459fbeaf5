"""Memory limit of a process by a control group of the kernel."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.memory_cgroup import MemoryCgroup, memory_cgroup

LIMIT_BYTES = 48 * 2**20


@pytest.fixture
def cgroup() -> Iterator[MemoryCgroup]:
    with memory_cgroup(LIMIT_BYTES) as group:
        if group is None:
            pytest.skip("needs root and version 1 of the memory controller")
        yield group


def _run(cgroup: MemoryCgroup, megabytes: int) -> tuple[int, float]:
    """Run a process that takes this memory; return its exit code and the memory of the group."""
    program = f"data = bytes({megabytes} * 10**6); print(len(data), flush=True); input()"
    command = cgroup.command(sys.executable, "-c", program.replace("bytes(", "b'x' * ("))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        used_megabytes = cgroup.used_megabytes()
        process.communicate("\n")
    return process.returncode, used_megabytes


def test_the_memory_of_a_process_is_counted(cgroup: MemoryCgroup) -> None:
    """The memory of a process of the group is measured, and freed when it ends."""
    exit_code, small_megabytes = _run(cgroup, 1)
    assert exit_code == 0
    exit_code, large_megabytes = _run(cgroup, 21)
    assert exit_code == 0
    assert 19 < large_megabytes - small_megabytes < 21
    assert cgroup.count_oom_kills() == 0


def test_a_process_over_the_limit_is_killed_and_counted(cgroup: MemoryCgroup) -> None:
    """The kernel ends a process that takes more memory than the group has."""
    exit_code, _ = _run(cgroup, 60)
    assert exit_code == -signal.SIGKILL
    assert cgroup.count_oom_kills() == 1
