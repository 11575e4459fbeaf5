"""Do the rules page when they should, and does `check` know? python -m bench.alerts [--quick].

Detection times come from the rules in Prometheus' own engine (`promtool test rules`), over
generated outages; false alarms from a simulation of years, which is held against the engine first.
Both stand beside what `inference-probe check` predicts. Exit code 1 where a bound is missed.
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf, isinf

import numpy as np

from bench import engine_check, outages, simulation
from bench.outages import TIMEOUT, Outage, Seen
from bench.readme import publish
from bench.report import table
from probe.slo.alerts import MINUTE_SECONDS
from probe.slo.evidence import lorden_bound
from probe.slo.forecast import COMFORTABLE, AlertTiming

TARGETS = (0.95, 0.99, 0.999)
INTERVALS = (1, 5, 10, 30, 60)
BAD = (1.0, 0.5, 0.05)
FACTOR = 2
"""By which a prediction may be wrong."""

EVENTS = 20
"""Expected, from which on an observed number counts: a fewer says little."""

MOST_FALSE_PAGES = 0.1
"""In 30 days, of a model that just meets its objective."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table, and whether what it shows keeps its bounds."""

    cells: tuple[str, ...]
    met: bool


def main() -> int:
    args = _parser().parse_args()
    promtool = shutil.which("promtool")
    if promtool is None:
        print("bench.alerts: promtool is not on the PATH (Debian: prometheus)", file=sys.stderr)
        return 2
    print("the simulation against the engine", file=sys.stderr, flush=True)
    agreed = engine_check.compare(promtool)
    print("false alarms", file=sys.stderr, flush=True)
    alarms = list(_alarms(years=0.25 if args.quick else args.years))
    print("outages", file=sys.stderr, flush=True)
    found = list(_outages(promtool, runs=3 if args.quick else args.runs))
    text = "\n\n".join((_agreed(agreed), _table(FOUND, found), _table(ALARMS, alarms)))
    print(text)
    if not args.quick:
        publish("alerts", text)
    met = agreed.met and all(row.met for row in (*found, *alarms))
    print("every bound is met" if met else "a bound is missed: see the tables", file=sys.stderr)
    return 0 if met else 1


FOUND = (
    "bad", "target", "every", "page", "predicted", "at most", "no rule before",
    "HighModelLatency", "predicted", "met",
)  # fmt: skip
ALARMS = (
    "target", "every", "good", "days", "pages", "pages predicted",
    "tickets", "tickets predicted", "met",
)  # fmt: skip


def _outages(promtool: str, *, runs: int) -> Iterator[Row]:
    """Those that take long are few and apart: what is together takes as long as the longest."""
    cases = [
        Outage(target=target, interval=interval, bad=bad)
        for bad in BAD
        for target in TARGETS
        for interval in INTERVALS
        if bad > 1 - target + 1e-9
    ]
    with ThreadPoolExecutor(2) as pool:
        seen = pool.map(lambda case: _play(promtool, case, runs), cases)
        for number, (case, (result, most)) in enumerate(zip(cases, seen, strict=True), 1):
            print(f"  {number} of {len(cases)}", file=sys.stderr, flush=True)
            yield _found(case, result, most)


def _play(promtool: str, case: Outage, runs: int) -> tuple[Seen, int]:
    ticket = _pace(case).promise_broken(case.bad)
    longest = max(_pace(case).found(case.bad).page, 0 if isinf(ticket) else ticket)
    seconds = int(min(MOST_SECONDS, max(40 * MINUTE_SECONDS, 2.5 * longest)) // 60 * 60)
    runs = runs if seconds < 3 * 3600 else max(3, runs // 2)
    seed = hash((case.target, case.interval, case.bad)) % 2**32
    return outages.play(promtool, [case], runs=runs, seconds=seconds, seed=seed)[case], seconds


MOST_SECONDS = 15 * 3600


def _found(case: Outage, seen: Seen, played: int) -> Row:
    page = _pace(case).found(case.bad).page
    ticket = _pace(case).promise_broken(case.bad)
    possible = lorden_bound(case.bad, 1 - case.target, case.interval, MOST_FALSE_PAGES)
    most = _at_most(case, possible)
    met = seen.page <= most and _close(seen.page, page, played)
    met &= _close(seen.ticket, ticket, played)
    cells = (
        "all" if case.bad == 1 else f"{case.bad:.0%}",
        f"{case.target:.1%}",
        f"{case.interval:g} s",
        _minutes(seen.page, played),
        _minutes(page),
        "" if isinf(most) else _minutes(most),
        _minutes(possible),
        _minutes(seen.ticket, played),
        _minutes(ticket),
        "yes" if met else "**no**",
    )
    return Row(cells=cells, met=met)


def _at_most(case: Outage, possible: float) -> float:
    """Seconds; no rule finds a few bad ones sooner than in some multiple of what is possible."""
    if case.bad == 1:
        return max(4 * MINUTE_SECONDS, 5 * case.interval + TIMEOUT)
    return max(13 * MINUTE_SECONDS, 1.5 * possible) if case.bad == 0.5 else inf


def _close(seen: float, predicted: float, played: int) -> bool:
    """Within the factor, or both beyond what was played."""
    if isinf(seen):
        return predicted > played / FACTOR
    return seen / FACTOR <= predicted <= seen * FACTOR


def _alarms(*, years: float) -> Iterator[Row]:
    random = np.random.default_rng(20260101)
    for target in TARGETS:
        for interval in INTERVALS:
            for used in (1.0, COMFORTABLE):
                yield _alarm(target, interval, used, max(1, round(years * 12)), random)


def _alarm(
    target: float, interval: float, used: float, number: int, random: np.random.Generator
) -> Row:
    budget = round(1 - target, 9)
    share = budget * used
    pace = AlertTiming(budget=budget, interval=interval, timeout=TIMEOUT)
    predicted = pace.false_alarms(share)
    played = [
        simulation.play(interval=interval, budget=budget, share=share, random=random)
        for _ in range(number)
    ]
    pages, tickets = sum(it.pages for it in played), sum(it.tickets for it in played)
    met = pages / number <= MOST_FALSE_PAGES
    met &= _as_expected(pages, predicted.pages * number)
    met &= _as_expected(tickets, predicted.tickets * number)
    cells = (
        f"{target:.1%}",
        f"{interval:g} s",
        f"{1 - share:.4g}",
        f"{30 * number:,}",
        f"{pages / number:.3f}",
        f"{predicted.pages:.3f}",
        f"{tickets / number:.2f}",
        f"{predicted.tickets:.2f}",
        "yes" if met else "**no**",
    )
    return Row(cells=cells, met=met)


def _as_expected(seen: int, expected: float) -> bool:
    """Within the factor, where there is enough to say so."""
    return max(seen, expected) < EVENTS or seen / FACTOR <= expected <= seen * FACTOR


def _pace(case: Outage) -> AlertTiming:
    return AlertTiming(budget=round(1 - case.target, 9), interval=case.interval, timeout=TIMEOUT)


def _minutes(seconds: float, played: float = inf) -> str:
    if isinf(seconds):
        return "never" if isinf(played) else f"> {played / MINUTE_SECONDS:.0f} min"
    return f"{seconds / MINUTE_SECONDS:.1f} min"


def _agreed(agreed: engine_check.Agreement) -> str:
    return (
        f"The simulation and the engine, of {agreed.looks:,} evaluations over the same series: "
        f"HighModelLatency fires at {agreed.broken[0]:,} and {agreed.broken[1]:,}, "
        f"ModelObjectiveMissed at {agreed.missed[0]:,} and {agreed.missed[1]:,}."
    )


def _table(head: tuple[str, ...], rows: Iterable[Row]) -> str:
    return table(head, (row.cells for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.alerts", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few runs: does it work?")
    parser.add_argument("--runs", type=int, default=11, help="of each outage (11)")
    parser.add_argument("--years", type=float, default=2, help="of each steady model (2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
