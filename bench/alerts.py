"""Do the rules page when they should, and does `check` know? python -m bench.alerts [--quick].

Detection times come from the rules in Prometheus (`promtool test rules`), over generated outages.
False alarms come from a simulation of years, which is compared with Prometheus first. Both are
compared with the forecast of `inference-probe check`. Exit code 1 if a bound is missed.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf, isinf
from pathlib import Path

import numpy as np

from bench import engine_check, outages, simulation
from bench.lorden import lorden_bound
from bench.markdown import aligned_table, publish
from bench.outages import TIMEOUT_SECONDS, Detection, Outage
from bench.programs import find, version
from probe.clock import HOUR_SECONDS, MINUTE_SECONDS
from probe.slo.brown_out_forecast import pages_per_day
from probe.slo.forecast import DELAY_SECONDS, HEALTHY_BUDGET_SHARE, AlertTiming

TARGETS = (0.95, 0.99, 0.999)
INTERVALS = (1, 5, 10, 30, 60)
BAD_RATIOS = (1.0, 0.5, 0.05)

# Range selectors are open on the left from here on, as in the simulation.
MIN_PROMTOOL_VERSION = (3,)

# A forecast may be wrong by this factor.
MAX_FACTOR = 2

# A smaller number of alerts says too little about its expectation.
MIN_ALERTS = 20

# In 30 days, of a model that just meets its objective.
MAX_FALSE_PAGES = 0.1

# Bad ratios of lasting brown-outs, in budgets.
BROWN_OUT_BUDGETS = (2, 3, 5, 10)

# Per day, if 3 % of the requests of a probe every 10 s are bad, with a target of 99 %.
MAX_BROWN_OUT_PAGES = 3

# Outages without Prometheus, for the median time to HighModelLatency.
SIMULATED_OUTAGES = 101

# Longest simulated time after the start of an outage.
MAX_OUTAGE_SECONDS = 15 * HOUR_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table, and whether its figures meet their bounds."""

    cells: tuple[str, ...]
    met: bool


def main() -> int:
    args = _parser().parse_args()
    promtool = max(find(os.environ, "promtool"), key=version, default=None)
    if promtool is None or version(promtool) < MIN_PROMTOOL_VERSION:
        print(
            "bench.alerts: needs promtool 3 or later, on the PATH or in PROMETHEUS_BIN_DIRS: in "
            "Prometheus 2, `increase` sees one sample more than in the simulation",
            file=sys.stderr,
        )
        return 2
    print("the simulation against Prometheus", file=sys.stderr, flush=True)
    agreement = engine_check.compare(promtool)
    print("false alarms", file=sys.stderr, flush=True)
    alarms = list(_false_alarm_rows(years=0.25 if args.quick else args.years))
    print("outages", file=sys.stderr, flush=True)
    detections = list(_detection_rows(promtool, runs=3 if args.quick else args.runs))
    print("brown-outs", file=sys.stderr, flush=True)
    brown_outs = list(_brown_out_rows(days=30 if args.quick else 180))
    text = "\n\n".join(
        (
            _agreement_text(agreement),
            _table(DETECTION_HEAD, detections),
            _table(FALSE_ALARM_HEAD, alarms),
            _table(BROWN_OUT_HEAD, brown_outs),
        )
    )
    print(text)
    if not args.quick:
        publish("alerts", text)
    met = agreement.met and all(row.met for row in (*detections, *alarms, *brown_outs))
    print("every bound is met" if met else "a bound is missed: see the tables", file=sys.stderr)
    return 0 if met else 1


DETECTION_HEAD = (
    "bad", "target", "every", "page", "predicted", "at most", "no rule before",
    "HighModelLatency", "predicted", "met",
)  # fmt: skip
FALSE_ALARM_HEAD = (
    "target", "every", "good", "days", "pages", "pages predicted",
    "tickets", "tickets predicted", "met",
)  # fmt: skip
BROWN_OUT_HEAD = (
    "bad", "target", "every", "days", "pages per day", "predicted", "met",
)  # fmt: skip


def _detection_rows(promtool: Path, *, runs: int) -> Iterator[Row]:
    """Yield a row per case. Two cases run at the same time, since some take much longer."""
    cases = [
        Outage(target=target, interval=interval, bad_ratio=bad_ratio)
        for bad_ratio in BAD_RATIOS
        for target in TARGETS
        for interval in INTERVALS
        if bad_ratio > 1 - target + 1e-9
    ]
    with ThreadPoolExecutor(2) as pool:
        detections = pool.map(lambda case: _detect(promtool, case, runs), cases)
        for number, (case, (detection, seconds)) in enumerate(
            zip(cases, detections, strict=True), 1
        ):
            print(f"  {number} of {len(cases)}", file=sys.stderr, flush=True)
            yield _detection_row(case, detection, seconds)


def _detect(promtool: Path, case: Outage, runs: int) -> tuple[Detection, int]:
    """Return the detection times and the simulated seconds after the start of the outage."""
    timing = _timing(case)
    times = (timing.detection_time(case.bad_ratio).page, timing.high_latency_time(case.bad_ratio))
    longest = max(time for time in (0.0, *times) if not isinf(time))
    wanted = max(40 * MINUTE_SECONDS, 2.5 * longest)
    seconds = int(min(MAX_OUTAGE_SECONDS, wanted) // MINUTE_SECONDS * MINUTE_SECONDS)
    runs = runs if seconds < 3 * HOUR_SECONDS else max(3, runs // 2)
    seed = hash((case.target, case.interval, case.bad_ratio)) % 2**32
    detections = outages.detect(promtool, [case], runs=runs, seconds=seconds, seed=seed)
    return detections[case], seconds


def _detection_row(case: Outage, detection: Detection, simulated: int) -> Row:
    timing = _timing(case)
    page = timing.detection_time(case.bad_ratio).page
    ticket = timing.high_latency_time(case.bad_ratio)
    possible = lorden_bound(case.bad_ratio, 1 - case.target, case.interval, MAX_FALSE_PAGES)
    limit = _max_page_time(case, possible)
    seen_ticket = detection.ticket
    if case.bad_ratio < 1:
        seen_ticket = _simulated_high_latency(case, simulated)
    met = detection.page <= limit and _is_close(detection.page, page, simulated)
    met &= _is_close(seen_ticket, ticket, simulated)
    cells = (
        "all" if case.bad_ratio == 1 else f"{case.bad_ratio:.0%}",
        f"{case.target:.1%}",
        f"{case.interval:g} s",
        _minutes(detection.page, simulated),
        _minutes(page),
        "" if isinf(limit) else _minutes(limit),
        _minutes(possible),
        _minutes(seen_ticket, simulated),
        _minutes(ticket),
        "yes" if met else "**no**",
    )
    return Row(cells=cells, met=met)


def _simulated_high_latency(case: Outage, seconds: int) -> float:
    """Return the median time to HighModelLatency of many outages of `seconds`.

    The time of a single outage at a small bad ratio is almost exponentially distributed. The median
    of a few outages, as many as Prometheus can evaluate in minutes, is off by a factor of 2 to 3.
    """
    _, time = simulation.simulate_outages(
        interval=case.interval,
        budget=round(1 - case.target, 9),
        bad_ratio=case.bad_ratio,
        random=np.random.default_rng(20260104),
        outages=SIMULATED_OUTAGES,
        seconds=seconds,
    )
    return time + TIMEOUT_SECONDS + DELAY_SECONDS


def _max_page_time(case: Outage, possible: float) -> float:
    """Return the longest acceptable time (seconds); infinite for small bad ratios.

    No rule detects a small bad ratio sooner than `possible`, its lower bound.
    """
    if case.bad_ratio == 1:
        return max(4 * MINUTE_SECONDS, 5 * case.interval + TIMEOUT_SECONDS)
    return max(13 * MINUTE_SECONDS, 1.5 * possible) if case.bad_ratio == 0.5 else inf


def _is_close(seen: float, predicted: float, simulated: int) -> bool:
    """Return whether both are within the factor, or both later than what was simulated."""
    if isinf(seen):
        return predicted > simulated / MAX_FACTOR
    return seen / MAX_FACTOR <= predicted <= seen * MAX_FACTOR


def _false_alarm_rows(*, years: float) -> Iterator[Row]:
    random = np.random.default_rng(20260101)
    for target in TARGETS:
        for interval in INTERVALS:
            for budget_share in (1.0, HEALTHY_BUDGET_SHARE):
                months = max(1, round(years * 12))
                yield _false_alarm_row(target, interval, budget_share, months, random)


def _false_alarm_row(
    target: float, interval: float, budget_share: float, months: int, random: np.random.Generator
) -> Row:
    budget = round(1 - target, 9)
    bad_ratio = budget * budget_share
    timing = AlertTiming(budget=budget, interval=interval, timeout=TIMEOUT_SECONDS)
    predicted = timing.false_alarms(bad_ratio)
    counts = [
        simulation.simulate(interval=interval, budget=budget, bad_ratio=bad_ratio, random=random)
        for _ in range(months)
    ]
    pages = sum(count.pages for count in counts)
    tickets = sum(count.tickets for count in counts)
    met = pages / months <= MAX_FALSE_PAGES
    met &= _is_as_expected(pages, predicted.pages * months)
    met &= _is_as_expected(tickets, predicted.tickets * months)
    cells = (
        f"{target:.1%}",
        f"{interval:g} s",
        f"{1 - bad_ratio:.4g}",
        f"{30 * months:,}",
        f"{pages / months:.3f}",
        f"{predicted.pages:.3f}",
        f"{tickets / months:.2f}",
        f"{predicted.tickets:.2f}",
        "yes" if met else "**no**",
    )
    return Row(cells=cells, met=met)


def _brown_out_rows(*, days: int) -> Iterator[Row]:
    random = np.random.default_rng(20260103)
    for target in TARGETS:
        for interval in INTERVALS:
            for budgets in BROWN_OUT_BUDGETS:
                yield _brown_out_row(target, interval, budgets, days, random)


def _brown_out_row(
    target: float, interval: float, budgets: float, days: int, random: np.random.Generator
) -> Row:
    budget = round(1 - target, 9)
    bad_ratio = budget * budgets
    predicted = pages_per_day(interval, budget, bad_ratio)
    pages = simulation.simulate_brown_out(
        interval=interval, budget=budget, bad_ratio=bad_ratio, random=random, days=days
    )
    met = _is_as_expected(pages, predicted * days)
    if (target, interval, budgets) == (0.99, 10, 3):
        met &= pages / days <= MAX_BROWN_OUT_PAGES
    cells = (
        f"{bad_ratio:.4g}",
        f"{target:.1%}",
        f"{interval:g} s",
        f"{days}",
        f"{pages / days:.2f}",
        f"{predicted:.2f}",
        "yes" if met else "**no**",
    )
    return Row(cells=cells, met=met)


def _is_as_expected(seen: int, expected: float) -> bool:
    """Return whether both are within the factor. Small numbers are not compared."""
    if max(seen, expected) < MIN_ALERTS:
        return True
    return seen / MAX_FACTOR <= expected <= seen * MAX_FACTOR


def _timing(case: Outage) -> AlertTiming:
    budget = round(1 - case.target, 9)
    return AlertTiming(budget=budget, interval=case.interval, timeout=TIMEOUT_SECONDS)


def _minutes(seconds: float, simulated: float = inf) -> str:
    if isinf(seconds):
        return "never" if isinf(simulated) else f"> {simulated / MINUTE_SECONDS:.0f} min"
    return f"{seconds / MINUTE_SECONDS:.1f} min"


def _agreement_text(agreement: engine_check.Agreement) -> str:
    return (
        f"The simulation and Prometheus, of {agreement.evaluations:,} evaluations over the same "
        f"series: HighModelLatency fires at {agreement.high_latency[0]:,} and "
        f"{agreement.high_latency[1]:,}, ModelObjectiveMissed at "
        f"{agreement.objective_missed[0]:,} and {agreement.objective_missed[1]:,}."
    )


def _table(head: tuple[str, ...], rows: Iterable[Row]) -> str:
    return aligned_table(head, (row.cells for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.alerts", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few runs: does it work?")
    parser.add_argument("--runs", type=int, default=11, help="runs of each outage (11)")
    parser.add_argument("--years", type=float, default=2, help="years of each steady model (2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
