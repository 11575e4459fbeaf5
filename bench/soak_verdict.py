"""What is promised, held against what was found."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.cost import Account, Memory, Scrapes
from bench.figures import OURS, PEER, Accuracy, Figures, quantile

SCRAPE_EVERY = 15
"""Seconds between two scrapes of the daemon, whose CPU is shared among its probes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One figure and its bound. With a `base` it is their ratio that counts."""

    claim: str
    where: str
    value: float
    bound: float
    unit: str = ""
    base: float | None = None
    aim: float | None = None

    @property
    def judged(self) -> float:
        """The ratio, or the value where there is nothing to compare it with."""
        return self.value if self.base is None else self.value / self.base

    @property
    def met(self) -> bool:
        return self.judged <= self.bound


def judge(figures: Figures) -> list[Verdict]:
    """A verdict for each bound and each workload that was measured."""
    verdicts = []
    for ours in figures.accuracies:
        if ours.prober != OURS or not ours.errors:
            continue
        if ours.workload.gil:
            idle = figures.of(OURS, dataclasses.replace(ours.workload, gil=False))
            verdicts += [_undisturbed(ours, idle)] if idle else []
        elif peer := figures.of(PEER, ours.workload):
            verdicts += _beside(ours, peer, figures.scrapes)
    for scheme, memory in figures.memory.items():
        verdicts.append(_memory(scheme, memory))
    verdicts += _scrapes(figures.scrapes) if figures.scrapes else []
    verdicts += [_schedule(figures.schedule)] if figures.schedule else []
    return sorted(verdicts, key=lambda verdict: CLAIMS.index(verdict.claim))


WAIT_P50, WAIT_P99 = "`wait` error, p50", "`wait` error, p99"
TOTAL_P50, TOTAL_P99 = "total error, p50", "total error, p99"
HELD = "`wait` error with the GIL held, p50"
CPU = "CPU per probe"
MEMORY = "RSS with 100 probes"
SCRAPE = "scrape of 1,000 probes"
INVISIBLE = "total error during scrapes, p50"
LOST = "ticks lost, skipped or failed at 500/s"
CLAIMS = (
    *(WAIT_P50, WAIT_P99, TOTAL_P50, TOTAL_P99, HELD, CPU),
    *(MEMORY, SCRAPE, INVISIBLE, LOST),
)

_Errors = Callable[[Accuracy], list[float]]
_ERRORS: tuple[tuple[str, _Errors, float, float], ...] = (
    (WAIT_P50, lambda of: of.waits, 0.50, 0.4),
    (WAIT_P99, lambda of: of.waits, 0.99, 0.7),
    (TOTAL_P50, lambda of: of.totals, 0.50, 0.5),
    (TOTAL_P99, lambda of: of.totals, 0.99, 0.7),
)


def _beside(ours: Accuracy, peer: Accuracy, scrapes: Scrapes | None) -> Iterator[Verdict]:
    where = str(ours.workload)
    for claim, errors, share, bound in _ERRORS:
        value, base = quantile(errors(ours), share), quantile(errors(peer), share)
        yield Verdict(
            claim=claim, where=where, value=value * 1e3, base=base * 1e3, unit="ms", bound=bound
        )
    scrape = scrapes.cpu / scrapes.probes / SCRAPE_EVERY if scrapes else 0.0
    yield Verdict(
        claim=CPU,
        where=where,
        value=(ours.cpu + scrape) * 1e3,
        base=peer.cpu * 1e3,
        unit="ms",
        bound=1.0,
        aim=0.5,
    )


def _undisturbed(held: Accuracy, idle: Accuracy) -> Verdict:
    return Verdict(
        claim=HELD,
        where=str(held.workload),
        value=quantile(held.waits, 0.5) * 1e3,
        base=quantile(idle.waits, 0.5) * 1e3,
        unit="ms",
        bound=2.0,
    )


def _memory(scheme: str, memory: Memory) -> Verdict:
    return Verdict(
        claim=MEMORY, where=scheme, value=memory.resident, unit="MB", bound=64.0, aim=45.0
    )


def _scrapes(scrapes: Scrapes) -> Iterator[Verdict]:
    where = f"{scrapes.size / 1e6:.1f} MB, gzipped {scrapes.compressed / 1e6:.1f} MB"
    duration = quantile(scrapes.durations, 0.5)
    yield Verdict(claim=SCRAPE, where=where, value=duration, unit="s", bound=1.0, aim=0.3)
    if scrapes.quiet and scrapes.scraped:
        during, quiet = (
            quantile((error.total for error in errors), 0.5) * 1e3
            for errors in (scrapes.scraped, scrapes.quiet)
        )
        yield Verdict(
            claim=INVISIBLE,
            where="plain, 100/s, new",
            value=during,
            base=quiet,
            unit="ms",
            bound=2.0,
        )


def _schedule(account: Account) -> Verdict:
    missing = account.lost + account.skipped + account.failures
    return Verdict(claim=LOST, where=f"{account.ticks} ticks", value=missing, bound=0)
