"""Acceptance criteria of the accuracy benchmark."""

import dataclasses
from collections.abc import Callable, Iterator

from bench.accuracy_results import BLACKBOX, DAEMON, Accuracy, Results, quantile
from bench.cost import Memory, Scrapes, TickCounts
from bench.verdict import Verdict

# The CPU of a scrape is divided among the probes that run between two scrapes.
SCRAPE_INTERVAL_SECONDS = 15

WAIT_P50, WAIT_P99 = "`wait` error, p50", "`wait` error, p99"
TOTAL_P50, TOTAL_P99 = "total error, p50", "total error, p99"
GIL_HELD = "`wait` error with the GIL held, p50"
CPU = "CPU per probe"
MEMORY = "RSS with 100 probes"
SCRAPE = "scrape of 1,000 probes"
DURING_SCRAPES = "total error during scrapes, p50"
LOST_TICKS = "ticks lost, skipped or failed at 500/s"
# Highest ratios to blackbox_exporter.
MAX_CPU_RATIO, MAX_TLS_CPU_RATIO = 0.5, 0.8

# With 100 probes, after scrapes and page loads.
MAX_RESIDENT_MEGABYTES = {"plain": 45.0, "TLS": 52.0}

# In the order of the table.
CRITERIA = (
    *(WAIT_P50, WAIT_P99, TOTAL_P50, TOTAL_P99, GIL_HELD, CPU),
    *(MEMORY, SCRAPE, DURING_SCRAPES, LOST_TICKS),
)

_Errors = Callable[[Accuracy], list[float]]
# Criterion, errors, quantile, and highest ratio to blackbox_exporter.
_ERRORS: tuple[tuple[str, _Errors, float, float], ...] = (
    (WAIT_P50, lambda accuracy: accuracy.wait_errors, 0.50, 0.4),
    (WAIT_P99, lambda accuracy: accuracy.wait_errors, 0.99, 0.7),
    (TOTAL_P50, lambda accuracy: accuracy.total_errors, 0.50, 0.5),
    (TOTAL_P99, lambda accuracy: accuracy.total_errors, 0.99, 0.7),
)


def evaluate(results: Results) -> list[Verdict]:
    """Return a verdict for each criterion and each workload that was measured."""
    verdicts = []
    for accuracy in results.accuracies:
        if accuracy.prober != DAEMON or not accuracy.errors:
            continue
        if accuracy.workload.gil:
            idle = results.find(DAEMON, dataclasses.replace(accuracy.workload, gil=False))
            verdicts += [_gil_held(accuracy, idle)] if idle else []
            continue
        # It reuses no connection: its CPU of a probe is always with a new one.
        new = dataclasses.replace(accuracy.workload, reuse=False)
        if blackbox := results.find(BLACKBOX, new):
            verdicts.append(_cpu(accuracy, blackbox, results.scrapes))
            if accuracy.workload == new:
                verdicts += _errors_compared(accuracy, blackbox)
    for scheme, memory in results.memory.items():
        verdicts.append(_memory(scheme, memory))
    verdicts += _scrapes(results.scrapes) if results.scrapes else []
    verdicts += [_schedule(results.schedule)] if results.schedule else []
    return sorted(verdicts, key=lambda verdict: CRITERIA.index(verdict.criterion))


def _errors_compared(daemon: Accuracy, blackbox: Accuracy) -> Iterator[Verdict]:
    for criterion, errors, ratio, bound in _ERRORS:
        yield Verdict(
            criterion=criterion,
            where=str(daemon.workload),
            value=quantile(errors(daemon), ratio) * 1e3,
            baseline=quantile(errors(blackbox), ratio) * 1e3,
            unit="ms",
            bound=bound,
        )


def _cpu(daemon: Accuracy, blackbox: Accuracy, scrapes: Scrapes | None) -> Verdict:
    scrape_cpu = scrapes.cpu / scrapes.probes / SCRAPE_INTERVAL_SECONDS if scrapes else 0.0
    return Verdict(
        criterion=CPU,
        where=str(daemon.workload),
        value=(daemon.cpu + scrape_cpu) * 1e3,
        baseline=blackbox.cpu * 1e3,
        unit="ms",
        bound=MAX_TLS_CPU_RATIO if daemon.workload.tls else MAX_CPU_RATIO,
    )


def _gil_held(held: Accuracy, idle: Accuracy) -> Verdict:
    return Verdict(
        criterion=GIL_HELD,
        where=str(held.workload),
        value=quantile(held.wait_errors, 0.5) * 1e3,
        baseline=quantile(idle.wait_errors, 0.5) * 1e3,
        unit="ms",
        bound=2.0,
    )


def _memory(scheme: str, memory: Memory) -> Verdict:
    return Verdict(
        criterion=MEMORY,
        where=f"{scheme}, PSS {memory.proportional:.1f} MB",
        value=memory.resident,
        unit="MB",
        bound=MAX_RESIDENT_MEGABYTES[scheme],
    )


def _scrapes(scrapes: Scrapes) -> Iterator[Verdict]:
    where = f"{scrapes.size / 1e6:.1f} MB, gzipped {scrapes.compressed / 1e6:.1f} MB"
    duration = quantile(scrapes.durations, 0.5)
    yield Verdict(criterion=SCRAPE, where=where, value=duration, unit="s", bound=1.0, goal=0.3)
    if scrapes.during and scrapes.other:
        during, other = (
            quantile((error.total for error in errors), 0.5) * 1e3
            for errors in (scrapes.during, scrapes.other)
        )
        yield Verdict(
            criterion=DURING_SCRAPES,
            where="plain, 100/s, new",
            value=during,
            baseline=other,
            unit="ms",
            bound=2.0,
        )


def _schedule(counts: TickCounts) -> Verdict:
    missing = counts.lost + counts.skipped + counts.failures
    return Verdict(criterion=LOST_TICKS, where=f"{counts.ticks} ticks", value=missing, bound=0)
