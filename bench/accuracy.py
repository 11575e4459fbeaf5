"""How far is a reported latency from the endpoint's own? python -m bench.accuracy [--quick].

Runs the daemon and the newest blackbox_exporter in turn on the same work, measures what the daemon
costs, prints the tables, and writes them with a JSON file and a plot. Exit code 0 when every bound
is met, 1 when one is not, 2 when the bench cannot run. README.md, beside this file, explains them.
"""

import argparse
import importlib.util
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from bench import blackbox, our_daemon
from bench.blackbox import Blackbox
from bench.cost import measure_memory, measure_schedule, measure_scrapes
from bench.figures import OURS, PEER, Accuracy, Figures
from bench.readme import publish
from bench.reference_server import NoTruth, Truth
from bench.report import document, markdown
from bench.soak_verdict import judge
from bench.workload import HISTORY, Run, Workload

HERE = Path(__file__).parent
RATES = (50, 200)

Contender = tuple[str, Workload, Callable[[Workload], Run]]


def main() -> int:
    args = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and end what was started
    with tempfile.TemporaryDirectory() as directory:
        try:
            truth = Truth(Path(directory))
        except NoTruth as error:
            print(error, file=sys.stderr)
            return 2
        program = max(blackbox.find(os.environ), key=blackbox.version, default=None)
        peer = Blackbox(program, truth, Path(directory)) if program else None
        figures = Figures(accuracies=_measure(args, truth, Path(directory), peer))
        _measure_costs(args, truth, Path(directory), figures)
    return _report(figures, _machine(args, program), args)


def _measure(
    args: argparse.Namespace, truth: Truth, directory: Path, peer: Blackbox | None
) -> list[Accuracy]:
    """Every contender once in each round, so that what else the machine does hits all alike."""

    def run_ours(workload: Workload) -> Run:
        return our_daemon.run(workload, truth, directory, args.seconds)

    def run_peer(workload: Workload) -> Run:
        assert peer
        return peer.run(workload, args.seconds)

    contenders = list(_contenders(run_ours, run_peer if peer else None))
    runs: list[list[Run]] = [[] for _ in contenders]
    for number in range(1, args.rounds + 1):
        for place, (prober, workload, run) in enumerate(contenders):
            _tell(f"round {number} of {args.rounds}: {prober}, {workload}")
            runs[place].append(run(workload))
    return [
        Accuracy(prober=prober, workload=workload, runs=tuple(found))
        for (prober, workload, _), found in zip(contenders, runs, strict=True)
    ]


def _contenders(
    run_ours: Callable[[Workload], Run], run_peer: Callable[[Workload], Run] | None
) -> Iterator[Contender]:
    """Neighbours in time are those that are compared. The peer never reuses a connection."""
    for tls, rate in product((False, True), RATES):
        for reuse, gil in product((False, True), (False, True)):
            yield OURS, Workload(rate=rate, tls=tls, reuse=reuse, gil=gil), run_ours
            if run_peer and not reuse and not gil:
                yield PEER, Workload(rate=rate, tls=tls), run_peer


def _measure_costs(
    args: argparse.Namespace, truth: Truth, directory: Path, figures: Figures
) -> None:
    seconds = 4 if args.quick else 12
    for tls in (False, True):
        scheme = "TLS" if tls else "plain"
        _tell(f"memory of the daemon, 100 probes, {scheme}")
        full = seconds if args.quick else HISTORY
        figures.memory[scheme] = measure_memory(truth, directory, full, tls=tls)
    _tell("scrapes of 1,000 probes")
    figures.scrapes = measure_scrapes(truth, directory, seconds)
    _tell("500 probes/s")
    figures.schedule = measure_schedule(truth, directory, seconds)


def _machine(args: argparse.Namespace, program: Path | None) -> dict[str, str]:
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    peer = ".".join(map(str, blackbox.version(program))) if program else "not installed"
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} x {cpu}, Linux {platform.release()}",
        "Python": platform.python_version(),
        PEER: peer,
        "rounds": f"{args.rounds} of {args.seconds:g} s",
    }


def _report(figures: Figures, machine: dict[str, str], args: argparse.Namespace) -> int:
    verdicts = judge(figures)
    results = markdown(figures, verdicts, machine)
    print(results)
    args.results.mkdir(parents=True, exist_ok=True)
    (args.results / "accuracy.md").write_text(f"{results}\n")
    written = json.dumps(document(figures, verdicts, machine), indent=1)
    (args.results / "accuracy.json").write_text(f"{written}\n")
    if importlib.util.find_spec("matplotlib"):
        from bench.plot import draw  # noqa: PLC0415  (the bench is of use without the picture)

        draw(figures, args.results / "accuracy.png")
    else:
        _tell("no picture: there is no matplotlib (pip install --group bench)")
    if not args.quick:
        publish("results", results)
    missed = [verdict for verdict in verdicts if not verdict.met]
    for one in missed:
        _tell(f"missed: {one.claim} ({one.where}): {one.judged:.3g}, at most {one.bound:g}")
    return 1 if missed else 0


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.accuracy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of one run, after its warm-up")
    parser.add_argument("--results", type=Path, default=HERE / "results", metavar="DIRECTORY")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="see whether the bench works: one round of 1 s, written to build/bench alone",
    )
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds, args.results = 1, 1.0, HERE.parent / "build" / "bench"
    return args


if __name__ == "__main__":
    sys.exit(main())
