"""Tries a fault on a daemon with two probes: one is struck, its neighbour is healthy."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

from probe.result import Reason
from tests.commands import COMMAND, Running, running
from tests.faults.fault import Fault, Stage
from tests.faults.page import Page, quantile, since
from tests.reference_times import ReferenceServer

STRUCK, NEIGHBOUR = "struck", "neighbour"

DELAY = 0.02
"""Seconds after which the neighbour answers; how long it really took, it says itself."""

WARM, ENOUGH = 5, 20
"""Successes of the neighbour before the fault strikes and after it has, and while it does."""

PATIENCE = 15.0
"""Seconds for the fault to show itself, and for so many successes of the neighbour."""

# Fine where the neighbour's latencies are, in ms: half of a bucket is what a median may be off.
BUCKETS = [*(19 + n / 10 for n in range(110)), *range(30, 100), 1000]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the metrics of the daemon said at the end, and how it ended."""

    struck: frozenset[Reason]
    """Why runs of the struck probe failed."""
    succeeded: bool
    """Whether any of them succeeded."""
    others: frozenset[Reason]
    """Why runs of the neighbour failed."""
    late: bool
    """Whether ticks were skipped as late."""
    unbalanced: list[str]
    """Probes whose ticks are not all accounted for."""
    shift: float
    """By how much (seconds) the neighbour's median latency, meanwhile, is above what it took."""
    fastest: float
    """The shortest of the neighbour's latencies (seconds, the upper bound of its bucket)."""
    healthy: bool
    """Whether `/-/healthy` says so."""
    code: int
    """The exit code after SIGTERM."""


def attempt(fault: Fault, directory: Path, *, successes: int = ENOUGH) -> Outcome:
    """Try a fault for so many successes of the neighbour, which takes some seconds.

    Raises AssertionError where it does not show itself, or the neighbour does not recover.
    """
    home = directory / "config"
    home.mkdir()
    patience = PATIENCE * max(1, successes / ENOUGH)
    with (
        ReferenceServer(delay=DELAY) as truth,
        fault.stage(home) as stage,
        running(_config(stage, truth, home), command=_command(stage)) as daemon,
    ):
        before = _wait(daemon, lambda page: page.successes(NEIGHBOUR) >= WARM)
        under = _wait(daemon, _has(successes, before), stage.strike, patience=patience)
        well_again = _has(WARM, under)
        page = _wait(daemon, lambda page: _shows(page, fault) and well_again(page))
        return Outcome(
            struck=page.failures(STRUCK),
            succeeded=page.successes(STRUCK) > 0,
            others=page.failures(NEIGHBOUR),
            late=page.total("skipped_total", reason="late") > 0,
            unbalanced=page.unbalanced(),
            shift=_shift(before, under, truth),
            fastest=quantile(page.buckets(NEIGHBOUR), 0),
            healthy=daemon.get("/-/healthy").ok,
            code=daemon.terminate(),
        )


def _command(stage: Stage) -> tuple[str, ...]:
    if not stage.condition:
        return COMMAND
    return (sys.executable, "-m", "tests.faults.daemon", *stage.condition)


def _config(stage: Stage, truth: ReferenceServer, home: Path) -> str:
    neighbour = {
        "name": NEIGHBOUR,
        "url": truth.url,
        "interval": "50ms",
        "timeout": "2s",
        "buckets": [f"{ms:g}ms" for ms in BUCKETS],
    }
    struck = {"name": STRUCK, "interval": "100ms", **stage.keys}
    defaults = {"timeout": "1s", "startup_grace": "0s"}
    path = home / "probe.yml"
    path.write_text(yaml.safe_dump({"defaults": defaults, "probes": [neighbour, struck]}))
    return f"--config.file={path}"


def _page(daemon: Running) -> Page:
    return Page(daemon.get("/metrics").text)


def _has(more: int, than: Page) -> Callable[[Page], bool]:
    """Whether the neighbour has had so many more successes than it had on a page."""
    enough = than.successes(NEIGHBOUR) + more
    return lambda page: page.successes(NEIGHBOUR) >= enough


def _wait(
    daemon: Running,
    done: Callable[[Page], bool],
    meanwhile: Callable[[Running], None] = lambda _: time.sleep(0.1),
    *,
    patience: float = PATIENCE,
) -> Page:
    """The first page that is as it should be."""
    end = time.monotonic() + patience
    while not done(page := _page(daemon)):
        assert time.monotonic() < end, (
            f"not what was waited for, {patience:g} s long: {_told(page)}"
        )
        meanwhile(daemon)
    return page


def _told(page: Page) -> str:
    """For people, of a page that is not as it should be."""
    return ", ".join(
        f"{probe}: {page.successes(probe)} successes, failures for {sorted(page.failures(probe))}"
        for probe in (STRUCK, NEIGHBOUR)
    )


def _shows(page: Page, fault: Fault) -> bool:
    """Whether all has been seen that the fault is known for."""
    succeeded = page.successes(STRUCK) > 0 or not fault.succeeds
    return succeeded and fault.reports <= page.failures(STRUCK)


def _shift(before: Page, under: Page, truth: ReferenceServer) -> float:
    """Of the neighbour's median between two pages: what it reported less what it really took."""
    took = [truth.read_seconds() for _ in range(under.successes(NEIGHBOUR))]
    reported = since(before.buckets(NEIGHBOUR), under.buckets(NEIGHBOUR))
    return quantile(reported, 0.5) - median(took[before.successes(NEIGHBOUR) :])
