"""Linux control groups that limit processes: version 1 of the controllers, as root."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")

# For the processes of a group to end after SIGKILL.
REMOVAL_TIMEOUT_SECONDS = 5.0

CPU_PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class Cgroup:
    """A control group whose processes share limits."""

    directory: Path

    def command(self, *command: str | Path) -> tuple[str | Path, ...]:
        """Return a command that joins the group and then runs `command` in the same process."""
        script = 'echo $$ > "$0"; exec "$@"'
        return ("sh", "-ec", script, self.directory / "cgroup.procs", *command)

    def read(self, name: str) -> str:
        return (self.directory / name).read_text()


@contextmanager
def create_cgroup(controller: str, limits: Mapping[str, int]) -> Iterator[Cgroup | None]:
    """Create a group with limits, by file. At the end, kill its processes and remove it.

    None if this process cannot create one: it needs root and version 1 of the controller.
    """
    directory = ROOT / controller / f"inference-probe-bench-{os.getpid()}"
    try:
        _create(directory, limits)
    except OSError:
        yield None
        return
    try:
        yield Cgroup(directory)
    finally:
        _remove(directory)


@contextmanager
def cpu_cgroup(cores: float) -> Iterator[Cgroup | None]:
    """Create a group whose processes together get at most the time of `cores` CPUs, or None."""
    quota_us = round(cores * CPU_PERIOD_US)
    limits = {"cpu.cfs_period_us": CPU_PERIOD_US, "cpu.cfs_quota_us": quota_us}
    with create_cgroup("cpu", limits) as group:
        yield group


def _create(directory: Path, limits: Mapping[str, int]) -> None:
    directory.mkdir()
    try:
        for name, limit in limits.items():
            (directory / name).write_text(str(limit))
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
