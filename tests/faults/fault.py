"""What a fault is: data, for the tests, the table in README.md and the bench alike."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe.result import Reason
from tests.commands import Running


def _it_is_always_so(_: Running) -> None:
    time.sleep(0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What stands while a fault is tried."""

    keys: Mapping[str, Any]
    """Of the probe that is struck, as in a config."""
    condition: tuple[str, ...] = ()
    """What the daemon's process is put under: the words of `tests.faults.daemon`."""
    strike: Callable[[Running], None] = _it_is_always_so
    """Does to the running daemon what is to be done, for a moment; may be called again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong with an endpoint or with the daemon's machine."""

    name: str
    """As the table has it."""
    stage: Callable[[Path], AbstractContextManager[Stage]]
    """Sets it up; the path is the directory of the config."""
    reports: frozenset[Reason] = frozenset()
    """Why runs of the struck probe fail: for each of these and for no other."""
    succeeds: bool = False
    """Whether some of its runs succeed."""
    others: frozenset[Reason] = frozenset()
    """Why runs of its healthy neighbour fail."""
    chance: frozenset[Reason] = frozenset()
    """Why single runs of either may fail besides, when it strikes at the wrong moment."""
    late: bool = False
    """Whether ticks are skipped because nobody was there to run them."""
