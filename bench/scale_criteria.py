"""Acceptance criteria of the benchmark of scale."""

from collections.abc import Iterator, Sequence

from bench.accuracy_criteria import MAX_CPU_RATIO
from bench.scale_results import CONSTANT, CONSTANT_RATE, ScaleResult, Span
from bench.verdict import Verdict

# Of the CPU per probe at a constant rate: the highest to the lowest.
MAX_CPU_SPREAD = 1.3

# Either of them is sufficient: the ratio is to a bare timer in the same run.
MAX_LAG_SECONDS, MAX_LAG_RATIO = 0.02, 2.0

MAX_SCRAPE_CPU_SECONDS = 0.12
MAX_ADDED_DELAY_SECONDS = 0.002

# Until the daemon says that it is running, by the number of probes.
MAX_START_SECONDS = {100: 0.5, 1000: 0.9, 10_000: 3.0}
# The same for a reload that changes all probes.
MAX_RELOAD_SECONDS = {10_000: 2.0}

# Probes and rate of the workloads with bounds of lag, skipped ticks and scrapes.
LAG_WORKLOAD = (5000, 250)
SKIPPED_WORKLOADS = ((10_000, 400), (1000, 1000))
SCRAPE_WORKLOAD = (1000, CONSTANT_RATE)

CPU, CPU_SPREAD, SKIPPED = "CPU per probe", "CPU per probe, 10 to 10,000 probes", "skipped ticks"
LAG = "p99 start lag"
SCRAPE_CPU, ADDED_DELAY = "CPU of a scrape", "delay that scrapes add"
START, RELOAD = "start", "reload of all probes"
# In the order of the table.
CRITERIA = (CPU, CPU_SPREAD, SKIPPED, LAG, SCRAPE_CPU, ADDED_DELAY, START, RELOAD)


def evaluate(results: Sequence[ScaleResult]) -> list[Verdict]:
    """Return a verdict for each criterion and each workload that it concerns."""
    verdicts = [verdict for result in results for verdict in _verdicts(result)]
    verdicts += _cpu_spread(results)
    return sorted(verdicts, key=lambda verdict: CRITERIA.index(verdict.criterion))


def _cpu_spread(results: Sequence[ScaleResult]) -> Iterator[Verdict]:
    cpus = [result.cpu * 1e3 for result in results if result.workload in CONSTANT]
    if len(cpus) == len(CONSTANT):
        yield Verdict(
            criterion=CPU_SPREAD,
            where=f"{CONSTANT_RATE}/s, highest and lowest",
            value=max(cpus),
            baseline=min(cpus),
            unit="ms",
            bound=MAX_CPU_SPREAD,
        )


def _verdicts(result: ScaleResult) -> Iterator[Verdict]:
    workload = result.workload
    where, key = str(workload), (workload.probes, workload.rate)
    if result.peer:
        yield Verdict(
            criterion=CPU,
            where=where,
            value=result.cpu * 1e3,
            baseline=result.peer.cpu * 1e3,
            unit="ms",
            bound=MAX_CPU_RATIO,
        )
    if key in SKIPPED_WORKLOADS:
        unlimited = "" if result.is_limited or not workload.cores else " (no limit in effect)"
        yield Verdict(criterion=SKIPPED, where=f"{where}{unlimited}", value=result.skipped, bound=0)
    if key == LAG_WORKLOAD:
        yield _lag(result, "scrape every 15 s", result.scraped)
        yield _lag(result, "during scrapes", *result.scrapes)
        yield _lag(result, "during page loads", *result.pages)
        yield _lag(result, "during a reload", result.reload)
    if key == SCRAPE_WORKLOAD:
        cpu = result.cpu_of(result.scrapes)
        yield Verdict(
            criterion=SCRAPE_CPU, where=where, value=cpu, unit="s", bound=MAX_SCRAPE_CPU_SECONDS
        )
        yield Verdict(
            criterion=ADDED_DELAY,
            where=where,
            value=result.added_delay(result.scrapes) * 1e3,
            unit="ms",
            bound=MAX_ADDED_DELAY_SECONDS * 1e3,
        )
    for criterion, bounds, span in (
        (START, MAX_START_SECONDS, result.started),
        (RELOAD, MAX_RELOAD_SECONDS, result.reload),
    ):
        if not workload.cores and (bound := bounds.get(workload.probes)):
            yield Verdict(
                criterion=criterion, where=where, value=span.seconds, unit="s", bound=bound
            )


def _lag(result: ScaleResult, when: str, *spans: Span) -> Verdict:
    bare = result.bare_p99(*spans)
    return Verdict(
        criterion=LAG,
        where=f"{result.workload}, {when}; bare timer {bare * 1e3:.2f} ms",
        value=result.p99(*spans) * 1e3,
        unit="ms",
        bound=round(max(MAX_LAG_SECONDS, MAX_LAG_RATIO * bare) * 1e3, 1),
    )
