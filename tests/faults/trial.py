"""Runs a fault on a daemon with two probes: one is affected, the other is healthy."""

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

AFFECTED, HEALTHY = "affected", "healthy"

# Delay of the healthy endpoint, which also reports its true times.
DELAY_SECONDS = 0.02

# Successes of the healthy probe before the fault and after it, and during it.
WARMUP_SUCCESSES, MIN_SUCCESSES = 5, 20

# Time for the expected results of the fault, and for MIN_SUCCESSES.
TIMEOUT_SECONDS = 15.0

# In ms. Narrow buckets around the healthy latency: the error of the median is half a bucket.
BUCKETS_MS = [*(19 + n / 10 for n in range(110)), *range(30, 100), 1000]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Metrics of the daemon at the end of a fault, and its exit code."""

    reasons: frozenset[Reason]
    """Failure reasons of the affected probe."""
    succeeded: bool
    """Whether any run of the affected probe succeeded."""
    others: frozenset[Reason]
    """Failure reasons of the healthy probe."""
    late: bool
    """Whether ticks were skipped as late."""
    unbalanced: list[str]
    """Probes with ticks that are not accounted for."""
    shift: float
    """Error of the healthy probe's median latency during the fault (seconds)."""
    fastest: float
    """Shortest latency of the healthy probe (seconds, the upper bound of its bucket)."""
    healthy: bool
    """Whether `/-/healthy` succeeds."""
    code: int
    """The exit code after SIGTERM."""


def attempt(fault: Fault, directory: Path, *, successes: int = MIN_SUCCESSES) -> Outcome:
    """Run a fault until the healthy probe has this many successes, which takes some seconds.

    Raises AssertionError if the expected results do not occur, or the healthy probe does not
    recover.
    """
    home = directory / "config"
    home.mkdir()
    timeout = TIMEOUT_SECONDS * max(1, successes / MIN_SUCCESSES)
    with (
        ReferenceServer(delay=DELAY_SECONDS) as server,
        fault.stage(home) as stage,
        running(_config(stage, server, home), command=_command(stage)) as daemon,
    ):
        before = _wait(daemon, lambda page: page.successes(HEALTHY) >= WARMUP_SUCCESSES)
        during = _wait(daemon, _more_successes(successes, before), stage.trigger, timeout=timeout)
        recovered = _more_successes(WARMUP_SUCCESSES, during)
        page = _wait(daemon, lambda page: _has_expected(page, fault) and recovered(page))
        return Outcome(
            reasons=page.failures(AFFECTED),
            succeeded=page.successes(AFFECTED) > 0,
            others=page.failures(HEALTHY),
            late=page.total("skipped_total", reason="late") > 0,
            unbalanced=page.unbalanced(),
            shift=_shift(before, during, server),
            fastest=quantile(page.buckets(HEALTHY), 0),
            healthy=daemon.get("/-/healthy").ok,
            code=daemon.terminate(),
        )


def _command(stage: Stage) -> tuple[str, ...]:
    if not stage.condition:
        return COMMAND
    return (sys.executable, "-m", "tests.faults.daemon", *stage.condition)


def _config(stage: Stage, server: ReferenceServer, home: Path) -> str:
    healthy = {
        "name": HEALTHY,
        "url": server.url,
        "interval": "50ms",
        "timeout": "2s",
        "buckets": [f"{ms:g}ms" for ms in BUCKETS_MS],
    }
    affected = {"name": AFFECTED, "interval": "100ms", **stage.keys}
    defaults = {"timeout": "1s", "startup_grace": "0s"}
    path = home / "probe.yml"
    path.write_text(yaml.safe_dump({"defaults": defaults, "probes": [healthy, affected]}))
    return f"--config.file={path}"


def _page(daemon: Running) -> Page:
    return Page(daemon.get("/metrics").text)


def _more_successes(count: int, earlier: Page) -> Callable[[Page], bool]:
    """Return a condition: the healthy probe has `count` successes more than on `earlier`."""
    total = earlier.successes(HEALTHY) + count
    return lambda page: page.successes(HEALTHY) >= total


def _wait(
    daemon: Running,
    done: Callable[[Page], bool],
    trigger: Callable[[Running], None] = lambda _: time.sleep(0.1),
    *,
    timeout: float = TIMEOUT_SECONDS,
) -> Page:
    """Call `trigger` until a scrape meets the condition `done`, and return that scrape."""
    end = time.monotonic() + timeout
    while not done(page := _page(daemon)):
        assert time.monotonic() < end, f"condition not met within {timeout:g} s: {_summary(page)}"
        trigger(daemon)
    return page


def _summary(page: Page) -> str:
    return ", ".join(
        f"{probe}: {page.successes(probe)} successes, failures for {sorted(page.failures(probe))}"
        for probe in (AFFECTED, HEALTHY)
    )


def _has_expected(page: Page, fault: Fault) -> bool:
    """Return whether all expected results of the fault have occurred."""
    succeeded = page.successes(AFFECTED) > 0 or not fault.succeeds
    return succeeded and fault.reports <= page.failures(AFFECTED)


def _shift(before: Page, during: Page, server: ReferenceServer) -> float:
    """Return reported minus true median latency of the healthy probe between two scrapes."""
    true_seconds = [server.read_seconds() for _ in range(during.successes(HEALTHY))]
    reported = since(before.buckets(HEALTHY), during.buckets(HEALTHY))
    return quantile(reported, 0.5) - median(true_seconds[before.successes(HEALTHY) :])
