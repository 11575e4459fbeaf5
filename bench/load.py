"""Compare the answers of load tests with known limits: `python -m bench.load [--quick]`.

Searches for the highest safe rate of queues whose limit is known from formulas or long simulations.
In virtual time it runs the code of `inference-probe load` many times, next to a search with short
steps as of many tools. In real time it runs the command, and then Locust and guidellm, against
servers on this machine. Prints tables and publishes them in bench/README.md. Exit code 0 if every
bound is met, else 1.
"""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

from bench.load_peers import PEERS
from bench.load_queues import QUEUES, Limit
from bench.load_real_time import search_in_real_time
from bench.load_report import render_real_time, render_searches
from bench.load_results import Searches, evaluate
from bench.load_searches import PRODUCT, search_virtually
from bench.markdown import environment, publish
from bench.stream_peers import PeerError

RESULTS = Path(__file__).parent.parent / "build" / "bench"

# A process takes this many searches at a time.
CHUNK_SIZE = 5

# The queues of a group are served at the same time. The last one needs all CPUs.
GROUPS = (("M/M/4", "M/D/1", "batches"), ("64 slots",))


def main() -> int:
    args = _arguments()
    limits = _limits(args)
    verdicts = []
    if args.searches:
        searches = list(_search_virtually(args, limits))
        verdicts = [
            verdict for group in searches if group.method == PRODUCT for verdict in evaluate(group)
        ]
        head = f"{environment()}; {args.searches:,} searches per queue, in virtual time."
        _report(args, "load", render_searches(searches, verdicts, head))
    if args.real_time:
        groups = [group for names in GROUPS for group in _search_in_real_time(args, names, limits)]
        _save("load-real-time", groups)
        _report(args, "load in real time", render_real_time(groups, f"{environment()}."))
    return 0 if all(verdict.met for verdict in verdicts) else 1


def _limits(args: argparse.Namespace) -> dict[str, Limit]:
    with get_context("fork").Pool(args.processes) as pool:
        return dict(zip(args.queues, pool.map(_find_limit, args.queues, 1), strict=True))


def _find_limit(name: str) -> Limit:
    return QUEUES[name].find_limit()


def _search_virtually(args: argparse.Namespace, limits: dict[str, Limit]) -> Iterator[Searches]:
    """Yield the answers of each method for each queue."""
    found: list[Searches] = []
    seeds = range(args.seed, args.seed + args.searches)
    with get_context("fork").Pool(args.processes) as pool:
        for name in args.queues:
            results = []
            for result in pool.imap(partial(search_virtually, name), seeds, CHUNK_SIZE):
                results.append(result)
                if len(results) % 100 == 0:
                    _log(f"{name}: {len(results)} searches")
            for method in results[0]:
                answers = [result[method] for result in results]
                found.append(
                    Searches(queue=name, limit=limits[name], method=method, answers=answers)
                )
            _save("load", found)
    yield from found


def _search_in_real_time(
    args: argparse.Namespace, names: Iterable[str], limits: dict[str, Limit]
) -> Iterator[Searches]:
    """Yield the answers for the queues `names`, which are served at the same time."""
    names = [name for name in names if name in limits]
    with ThreadPoolExecutor(len(GROUPS[0])) as threads:
        search = partial(_search_each, args.real_time)
        yield from chain.from_iterable(
            threads.map(lambda name: list(search(name, limits[name])), names)
        )


def _search_each(count: int, name: str, limit: Limit) -> Iterator[Searches]:
    """Yield the answers of the command, and of the other tools, for the queue `name`."""
    answers = []
    for number in range(1, count + 1):
        _log(f"{name}: search {number} of {count} in real time")
        answers.append(search_in_real_time(name))
    yield Searches(queue=name, limit=limit, method=PRODUCT, answers=answers)
    for peer in PEERS:
        if name in peer.queues:
            _log(f"{name}: {peer.name}")
            try:
                answer = peer.measure(name)
            except PeerError as error:
                _log(str(error))
            else:
                yield Searches(queue=name, limit=limit, method=peer.name, answers=[answer])


def _save(name: str, searches: Sequence[Searches]) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    document = [dataclasses.asdict(group) for group in searches]
    (RESULTS / f"{name}.json").write_text(json.dumps(document))


def _report(args: argparse.Namespace, mark: str, text: str) -> None:
    print(text, end="\n\n")
    if not args.quick:
        publish(mark, text)


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.load", description=__doc__)
    parser.add_argument(
        "--searches", type=int, default=1000, help="per queue in virtual time; 0: none (1000)"
    )
    parser.add_argument(
        "--real-time", type=int, default=3, help="searches per queue in real time; 0: none (3)"
    )
    parser.add_argument(
        "--queues", nargs="*", choices=QUEUES, default=list(QUEUES), help="default: all"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1, help="of the first search (1)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="check that the benchmark works: 20 searches in virtual time; publish nothing",
    )
    args = parser.parse_args()
    if args.quick:
        args.searches, args.real_time = 20, 0
    return args


if __name__ == "__main__":
    sys.exit(main())
