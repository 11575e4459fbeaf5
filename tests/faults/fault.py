"""Definition of a fault as data, for the tests, the table in README.md and the benchmarks."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.result import Reason
from tests.commands import Running


def _wait(_: Running) -> None:
    time.sleep(0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Setup of a running fault."""

    keys: Mapping[str, Any]
    """Config keys of the affected probe."""
    condition: tuple[str, ...] = ()
    """Condition of the daemon's process: arguments of `tests.faults.daemon`."""
    trigger: Callable[[Running], None] = _wait
    """Causes the fault in the running daemon for a short time; may be called repeatedly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of an endpoint or of the daemon's machine, and its expected results."""

    name: str
    """Name in the table."""
    stage: Callable[[Path], AbstractContextManager[Stage]]
    """Sets up the fault. The path is the directory of the config."""
    reports: frozenset[Reason] = frozenset()
    """Exactly the failure reasons of the affected probe."""
    succeeds: bool = False
    """Whether some runs of the affected probe succeed."""
    others: frozenset[Reason] = frozenset()
    """Exactly the failure reasons of the other, healthy probe."""
    chance: frozenset[Reason] = frozenset()
    """Additional possible reasons of single runs of both probes, depending on the timing."""
    late: bool = False
    """Whether ticks are skipped as late."""
