"""Runs a daemon with faulty probes and a healthy probe, and returns what its metrics report."""

import json
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

from probe.result import Reason
from tests.commands import Running, running
from tests.faults.fault import Fault, FaultSetup
from tests.faults.scrape import Scrape, added, quantile
from tests.reference_times import ReferenceServer

HEALTHY = "healthy"

# Delay of the healthy endpoint. It reports the true duration of each response.
DELAY_SECONDS = 0.02
HEALTHY_INTERVAL_SECONDS = 0.05

# Successes of the healthy probe before and after the faults, and during them.
WARM_UP_SUCCESSES, SUCCESSES = 5, 20

# Limit for the effects of the faults to appear, and for `SUCCESSES`.
TIMEOUT_SECONDS = 15.0

# A faulty probe runs ten times per second. If faults share a daemon, the probes are slower, so that
# together they do not need a whole CPU.
MIN_INTERVAL_SECONDS, MAX_FAULTY_RUNS_PER_SECOND = 0.1, 40

# Fine around the latency of the healthy probe: the error of a median is half of a bucket.
BUCKETS_MS = [*(19 + n / 10 for n in range(110)), *range(30, 100), 1000]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """Results of a probe in the metrics."""

    reasons: frozenset[Reason]
    """Failure reasons."""
    succeeded: bool
    """Whether any run succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Metrics of the daemon after the faults, and its end."""

    faulty: Mapping[str, ProbeReport]
    """Faulty probes, by the name of the fault."""
    healthy: ProbeReport
    late_ticks: int
    """Ticks of all probes that were skipped as late."""
    unbalanced: Sequence[str]
    """Probes with ticks that are not accounted for."""
    shift_seconds: float
    """Median latency of the healthy probe during the faults, minus the true median."""
    min_latency_seconds: float
    """Shortest latency of the healthy probe (upper bound of its bucket)."""
    daemon_healthy: bool
    """Whether `/-/healthy` responds with 200."""
    exit_code: int
    """Exit code after SIGTERM."""


def run_faults(
    faults: Sequence[Fault], directory: Path, *, successes: int = SUCCESSES
) -> RunReport:
    """Run one daemon with these faults until all their effects have occurred.

    It takes at least `successes` of the healthy probe during the faults. Raises AssertionError if
    an effect does not occur or the healthy probe does not recover.
    """
    timeout = TIMEOUT_SECONDS * max(1, successes / SUCCESSES)
    with ExitStack() as stack:
        reference = stack.enter_context(ReferenceServer(delay=DELAY_SECONDS))
        setups = {
            fault.probe_name: stack.enter_context(
                fault.setup(_subdirectory(directory, str(number)))
            )
            for number, fault in enumerate(faults)
        }
        # A single fault may delete the directory of the config.
        home = directory / "0" if len(faults) == 1 else directory
        config = _write_config(home, setups, reference)
        daemon = stack.enter_context(running(config, command=_command(setups.values())))

        before = _wait(daemon, lambda scrape: scrape.successes(HEALTHY) >= WARM_UP_SUCCESSES)
        enough = _has_more_successes(successes, before)
        during = _wait(
            daemon,
            lambda scrape: enough(scrape) and all(_appears(fault, scrape) for fault in faults),
            inject=_inject_all(setups.values()),
            timeout_seconds=timeout,
        )
        after = _wait(daemon, _has_more_successes(WARM_UP_SUCCESSES, during))
        return RunReport(
            faulty={fault.name: _report(after, fault.probe_name) for fault in faults},
            healthy=_report(after, HEALTHY),
            late_ticks=int(after.total("skipped_total", reason="late")),
            unbalanced=after.unbalanced(),
            shift_seconds=_shift(before, during, reference),
            min_latency_seconds=quantile(after.buckets(HEALTHY), 0),
            daemon_healthy=daemon.get("/-/healthy").ok,
            exit_code=daemon.terminate(),
        )


def _subdirectory(directory: Path, name: str) -> Path:
    path = directory / name
    path.mkdir()
    return path


def _write_config(home: Path, setups: Mapping[str, FaultSetup], reference: ReferenceServer) -> str:
    """Write a config with the faulty probes and the healthy probe; return the flag for it."""
    interval = max(MIN_INTERVAL_SECONDS, len(setups) / MAX_FAULTY_RUNS_PER_SECOND)
    healthy = {
        "name": HEALTHY,
        "url": reference.url,
        "interval": f"{HEALTHY_INTERVAL_SECONDS * 1e3:g}ms",
        "timeout": "2s",
        "buckets": [f"{ms:g}ms" for ms in BUCKETS_MS],
    }
    faulty = [
        {"name": name, "interval": f"{interval * 1e3:.0f}ms", **setup.keys}
        for name, setup in setups.items()
    ]
    defaults = {"timeout": "1s", "startup_grace": "0s"}
    path = home / "probe.yml"
    path.write_text(yaml.safe_dump({"defaults": defaults, "probes": [healthy, *faulty]}))
    return f"--config.file={path}"


def _command(setups: Collection[FaultSetup]) -> tuple[str, ...] | None:
    """Return the command line of a daemon with the patches of these setups, None without any."""
    hosts = {
        name: (host.behaviour, host.addresses)
        for setup in setups
        for name, host in setup.hosts.items()
    }
    patches = [setup.patch for setup in setups if setup.patch]
    if not hosts and not patches:
        return None
    return (sys.executable, "-m", "tests.faults.patched_daemon", json.dumps(hosts), *patches)


def _inject_all(setups: Collection[FaultSetup]) -> Callable[[Running], None]:
    """Return a function that injects the faults into a daemon, one after the other."""
    injections = [setup.inject for setup in setups if setup.inject] or [_pause]

    def inject(daemon: Running) -> None:
        for injection in injections:
            injection(daemon)

    return inject


def _pause(_: Running) -> None:
    time.sleep(0.1)


def _has_more_successes(count: int, earlier: Scrape) -> Callable[[Scrape], bool]:
    """Return a predicate: the healthy probe has had `count` successes since `earlier`."""
    total = earlier.successes(HEALTHY) + count
    return lambda scrape: scrape.successes(HEALTHY) >= total


def _wait(
    daemon: Running,
    done: Callable[[Scrape], bool],
    *,
    inject: Callable[[Running], None] = _pause,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Scrape:
    """Return the first scrape that is `done`; call `inject` between two scrapes."""
    deadline = time.monotonic() + timeout_seconds
    while not done(scrape := Scrape(daemon.get("/metrics").text)):
        assert time.monotonic() < deadline, (
            f"not reached in {timeout_seconds:g} s: {_describe(scrape)}"
        )
        inject(daemon)
    return scrape


def _describe(scrape: Scrape) -> str:
    return ", ".join(
        f"{probe}: {scrape.successes(probe)} successes, reasons {sorted(scrape.reasons(probe))}"
        for probe in scrape.probes()
    )


def _appears(fault: Fault, scrape: Scrape) -> bool:
    """Return whether all effects of the fault have occurred."""
    faulty, healthy = _report(scrape, fault.probe_name), _report(scrape, HEALTHY)
    return (
        faulty.succeeded >= fault.succeeds
        and faulty.reasons >= fault.reasons
        and healthy.reasons >= fault.healthy_reasons
    )


def _report(scrape: Scrape, probe: str) -> ProbeReport:
    return ProbeReport(reasons=scrape.reasons(probe), succeeded=scrape.successes(probe) > 0)


def _shift(before: Scrape, during: Scrape, reference: ReferenceServer) -> float:
    """Return the healthy probe's reported median between two scrapes minus the true median."""
    true = [reference.read_seconds() for _ in range(during.successes(HEALTHY))]
    reported = added(before.buckets(HEALTHY), during.buckets(HEALTHY))
    return quantile(reported, 0.5) - median(true[before.successes(HEALTHY) :])
