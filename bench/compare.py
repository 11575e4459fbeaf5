"""Compare pairs with a known difference: `python -m bench.compare [--quick]`.

Draws samples of two sides, with equal latencies or a shift, and counts the verdicts of the code of
`inference-probe compare`, next to comparisons of two numbers. Prints the tables and publishes them
in bench/README.md. Exit code 0 if every bound is met, else 1.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from bench.accuracy_report import render_verdicts
from bench.compare_pairs import CASES, METHODS, Case, make_pair
from bench.markdown import aligned_table, environment, publish
from bench.verdict import Verdict as Bound
from probe.compare.difference import Verdict

PRODUCT, BUCKETS = list(METHODS)[:2]

# A process takes this many pairs at a time.
CHUNK_SIZE = 10

# Percent of the pairs.
MAX_FALSE_ALARMS = 6.5
MAX_MISSED_SHIFTS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """How often a method had each verdict about the pairs of a case."""

    case: Case
    method: str
    counts: Mapping[Verdict, int]

    def percent(self, verdict: Verdict) -> float:
        return 100 * self.counts.get(verdict, 0) / sum(self.counts.values())


def main() -> int:
    args = _arguments()
    verdicts = list(_compare_all(args))
    bounds = [bound for group in verdicts for bound in evaluate(group)]
    head = f"{environment()}; {args.pairs:,} pairs per row."
    text = "\n\n".join((head, render_verdicts(bounds), "**Verdicts** in percent:", table(verdicts)))
    print(text)
    if not args.quick:
        publish("compare", text)
    return 0 if all(bound.met for bound in bounds) else 1


def _compare_all(args: argparse.Namespace) -> Iterator[Verdicts]:
    seeds = range(args.seed, args.seed + args.pairs)
    with get_context("fork").Pool(args.processes) as pool:
        for case in CASES:
            found = list(pool.imap(partial(compare_pair, case), seeds, CHUNK_SIZE))
            for index, method in enumerate(METHODS):
                counts = Counter(verdicts[index] for verdicts in found)
                yield Verdicts(case=case, method=method, counts=counts)
            print(f"{case.name}, {case.requests} requests", file=sys.stderr, flush=True)


def compare_pair(case: Case, seed: int) -> tuple[Verdict, ...]:
    """Return the verdict of each method about one pair."""
    a, b = make_pair(case, seed)
    return tuple(method(a, b) for method in METHODS.values())


def evaluate(verdicts: Verdicts) -> Iterator[Bound]:
    """Yield the bounds of a case. Other tools have none."""
    case = verdicts.case
    worse = verdicts.percent(Verdict.WORSE)
    where = f"{case.name}, {case.requests} requests"
    if verdicts.method == BUCKETS:
        where += ", buckets"
    if verdicts.method not in (PRODUCT, BUCKETS):
        return
    if case.factor == 1 and case.bad_shares[0] == case.bad_shares[1]:
        yield _bound("`worse` about equal pairs", where, worse, MAX_FALSE_ALARMS)
    elif (case.factor, case.requests) == (1.1, 200):
        other = 100 - verdicts.percent(Verdict.NOT_ENOUGH_DATA)
        yield _bound("not `not enough data`", where, other, MAX_MISSED_SHIFTS)
    elif (case.factor, case.requests) != (1.1, 500):
        yield _bound("not `worse`", where, 100 - worse, MAX_MISSED_SHIFTS)


def _bound(criterion: str, where: str, value: float, bound: float) -> Bound:
    return Bound(criterion=criterion, where=where, value=value, bound=bound, unit="%")


def table(verdicts: Sequence[Verdicts]) -> str:
    """Return a row for each case and method."""
    columns = [verdict.replace("_", " ") for verdict in Verdict]
    rows = (
        (
            group.case.name,
            str(group.case.requests),
            group.method,
            *(f"{group.percent(verdict):.1f}" for verdict in Verdict),
        )
        for group in verdicts
    )
    return aligned_table(("pair", "requests per side", "method", *columns), rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.compare", description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000, help="pairs per case (1000)")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1, help="of the first pair (1)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="check that the benchmark works: 40 pairs per case; publish nothing",
    )
    args = parser.parse_args()
    if args.quick:
        args.pairs = 40
    return args


if __name__ == "__main__":
    sys.exit(main())
