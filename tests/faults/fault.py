"""Description of a fault, for the tests, the table in README.md and the bench."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from probe.result import Reason
from tests.commands import Running


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeHost:
    """Host name that the daemon's process looks up in a patched `getaddrinfo`."""

    behaviour: str
    """`normal`, or one of the failures in `tests.faults.patched_daemon`."""
    addresses: Sequence[tuple[Any, ...]]
    """Socket addresses, in the order in which `getaddrinfo` returns them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSetup:
    """Resources of a fault while it is tested."""

    keys: Mapping[str, Any]
    """Config keys of the faulty probe."""
    hosts: Mapping[str, FakeHost] = field(default_factory=dict)
    """Host names that the config uses, if lookups are patched."""
    patch: str | None = None
    """Name of a patch in `tests.faults.patched_daemon` for the daemon's process."""
    inject: Callable[[Running], None] | None = None
    """Causes the fault in the running daemon for a moment; may be called again. None: the fault
    is always present.
    """


OpenSetup = Callable[[Path], AbstractContextManager[FaultSetup]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Fault of an endpoint, of the name server or of the daemon's machine, and its effects."""

    name: str
    """Name in the table of README.md."""
    setup: OpenSetup
    """Opens the setup. The argument is a directory for its files; for faults with their own
    daemon, it is the directory of the config.
    """
    reasons: frozenset[Reason] = frozenset()
    """Failure reasons of the faulty probe: each of them occurs, and no other."""
    succeeds: bool = False
    """Whether some runs of the faulty probe succeed."""
    healthy_reasons: frozenset[Reason] = frozenset()
    """Failure reasons of the healthy probe."""
    occasional_reasons: frozenset[Reason] = frozenset()
    """Further failure reasons of either probe, which depend on the moment of the fault."""
    skips_late_ticks: bool = False
    """Whether ticks are skipped because the daemon cannot run them in time."""

    @property
    def probe_name(self) -> str:
        """Name of the faulty probe."""
        return re.sub(r"\W+", "-", self.name).strip("-")
