"""Compare the answers of load tests with known limits: `python -m bench.load [--quick]`.

Searches for the highest safe rate of queues whose limit is known from formulas or long simulations,
in virtual time and with the code of `inference-probe load`, many times. Searches next to it as many
tools do. Prints tables and publishes them in bench/README.md. Exit code 0 if every bound is met,
else 1.
"""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path

from bench.load_queues import QUEUES, Limit
from bench.load_report import render_searches
from bench.load_results import Searches, evaluate
from bench.load_searches import SearchPair, search_twice
from bench.markdown import environment, publish

RESULTS = Path(__file__).parent.parent / "build" / "bench" / "load.json"

PRODUCT = "inference-probe"
USUAL = "30 s steps"

# A process takes this many searches at a time.
CHUNK_SIZE = 5


def main() -> int:
    args = _arguments()
    with get_context("fork").Pool(args.processes) as pool:
        limits = dict(zip(args.queues, pool.map(_find_limit, args.queues), strict=True))
        searches: list[Searches] = []
        for name in args.queues:
            searches += _search(args, pool, name, limits[name])
            _save(searches)
    verdicts = [
        verdict for group in searches if group.method == PRODUCT for verdict in evaluate(group)
    ]
    head = f"{environment()}; {args.searches:,} searches per queue, in virtual time."
    text = render_searches(searches, verdicts, head)
    print(text)
    if not args.quick:
        publish("load", text)
    return 0 if all(verdict.met for verdict in verdicts) else 1


def _find_limit(name: str) -> Limit:
    return QUEUES[name].find_limit()


def _search(args: argparse.Namespace, pool: Pool, name: str, limit: Limit) -> Iterator[Searches]:
    """Yield the answers of both methods for the queue `name`."""
    _log(f"{name}: limit {limit.rate:.2f}/s")
    seeds = range(args.seed, args.seed + args.searches)
    pairs: list[SearchPair] = []
    for pair in pool.imap_unordered(partial(search_twice, name), seeds, CHUNK_SIZE):
        pairs.append(pair)
        if len(pairs) % 100 == 0:
            _log(f"{name}: {len(pairs)} searches")
    for method, answers in (
        (PRODUCT, [pair.product for pair in pairs]),
        (USUAL, [pair.usual for pair in pairs]),
    ):
        yield Searches(queue=name, limit=limit, method=method, answers=answers)


def _save(searches: Sequence[Searches]) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps([dataclasses.asdict(group) for group in searches]))


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.load", description=__doc__)
    parser.add_argument("--searches", type=int, default=1000, help="per queue (1000)")
    parser.add_argument(
        "--queues", nargs="*", choices=QUEUES, default=list(QUEUES), help="default: all"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1, help="of the first search (1)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="check that the benchmark works: 20 searches per queue; publish nothing",
    )
    args = parser.parse_args()
    if args.quick:
        args.searches = 20
    return args


if __name__ == "__main__":
    sys.exit(main())
