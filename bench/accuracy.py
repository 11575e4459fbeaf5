"""Measure the error and the cost of the daemon: `python -m bench.accuracy [--quick]`.

Runs the daemon and the newest blackbox_exporter in turn on the same workloads, measures memory,
scrapes and a full schedule, prints tables and publishes them in bench/README.md. With `--before
REVISION`, runs only the daemon, in turn with that of another git revision, and compares the errors.
Exit code 0 if every bound is met, 1 if one is missed, 2 if the benchmark cannot run.
bench/README.md explains the results.
"""

import argparse
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path

from bench import accuracy_before, daemon, programs
from bench.accuracy_criteria import evaluate
from bench.accuracy_report import render_json, render_markdown
from bench.accuracy_results import BEFORE, BLACKBOX, DAEMON, Accuracy, Results
from bench.blackbox import PROGRAMS, Blackbox
from bench.cost import measure_memory, measure_schedule, measure_scrapes
from bench.markdown import environment, publish
from bench.reference_server import ReferenceServer, ReferenceServerError
from bench.revision import ROOT, extract
from bench.workload import HISTORY_SECONDS, Run, Workload

DIRECTORY = Path(__file__).parent
RATES = (50, 200)

# Pairs of revisions need the p99 of many probes in each round.
RATES_BEFORE = (200,)

ROUNDS, ROUNDS_BEFORE = 3, 6

Contender = tuple[str, Workload, Callable[[Workload], Run]]


def main() -> int:
    args = _arguments()
    # SystemExit ends the child processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        try:
            server = ReferenceServer(directory)
            before = extract(args.before, directory / "before") if args.before else None
        except (ReferenceServerError, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            return 2
        if before:
            return _compare_revisions(args, server, directory, before)
        program = max(programs.find(os.environ, *PROGRAMS), key=programs.version, default=None)
        exporter = Blackbox(program, server, directory) if program else None
        contenders = list(_contenders(args, server, directory, exporter))
        results = Results(accuracies=_measure(args, contenders))
        _measure_costs(args, server, directory, results)
    return _report(results, _machine(args, program), args)


def _compare_revisions(
    args: argparse.Namespace, server: ReferenceServer, directory: Path, before: Path
) -> int:
    contenders = list(_revisions(args, server, directory, before))
    results = Results(accuracies=_measure(args, contenders))
    pairs = accuracy_before.compare(results)
    rounds = f"{args.rounds} rounds of {args.seconds:g} s"
    text = accuracy_before.render(pairs, f"{environment()}; before: {args.before}; {rounds}.")
    print(text)
    if not args.quick:
        publish("errors before", text)
    return 0 if pairs and all(pair.is_met for pair in pairs) else 1


def _measure(args: argparse.Namespace, contenders: list[Contender]) -> list[Accuracy]:
    """Run each contender once per round, so that other load on the machine affects all of them."""
    runs: list[list[Run]] = [[] for _ in contenders]
    for number in range(1, args.rounds + 1):
        # In every second round in reverse, so that of a pair each is the first one as often.
        order = list(enumerate(contenders))[:: 1 if number % 2 else -1]
        for index, (prober, workload, run) in order:
            _log(f"round {number} of {args.rounds}: {prober}, {workload}")
            runs[index].append(run(workload))
    return [
        Accuracy(prober=prober, workload=workload, runs=tuple(runs_of_contender))
        for (prober, workload, _), runs_of_contender in zip(contenders, runs, strict=True)
    ]


def _contenders(
    args: argparse.Namespace,
    server: ReferenceServer,
    directory: Path,
    exporter: Blackbox | None,
) -> Iterator[Contender]:
    """Yield what is compared next to each other. blackbox_exporter reuses no connection."""
    for workload in _workloads(RATES):
        yield DAEMON, workload, _runner(args, server, directory, ROOT)
        if exporter and not workload.reuse and not workload.gil:
            yield BLACKBOX, workload, partial(exporter.measure, seconds=args.seconds)


def _revisions(
    args: argparse.Namespace, server: ReferenceServer, directory: Path, before: Path
) -> Iterator[Contender]:
    for workload in _workloads(RATES_BEFORE):
        yield DAEMON, workload, _runner(args, server, directory, ROOT)
        yield BEFORE, workload, _runner(args, server, directory, before)


def _workloads(rates: Iterable[int]) -> Iterator[Workload]:
    for tls, rate in product((False, True), rates):
        for reuse, gil in product((False, True), (False, True)):
            yield Workload(rate=rate, tls=tls, reuse=reuse, gil=gil)


def _runner(
    args: argparse.Namespace, server: ReferenceServer, directory: Path, code: Path
) -> Callable[[Workload], Run]:
    """Return the function that measures the daemon in the directory `code`."""

    def run(workload: Workload) -> Run:
        return daemon.measure(workload, server, directory, args.seconds, code)

    return run


def _measure_costs(
    args: argparse.Namespace, server: ReferenceServer, directory: Path, results: Results
) -> None:
    seconds = 4 if args.quick else 12
    for tls in (False, True):
        scheme = "TLS" if tls else "plain"
        _log(f"memory of the daemon, 100 probes, {scheme}")
        memory_seconds = seconds if args.quick else HISTORY_SECONDS
        results.memory[scheme] = measure_memory(server, directory, memory_seconds, tls=tls)
    _log("scrapes of 1,000 probes")
    results.scrapes = measure_scrapes(server, directory, seconds)
    _log("500 probes/s")
    results.schedule = measure_schedule(server, directory, seconds)


def _machine(args: argparse.Namespace, program: Path | None) -> dict[str, str]:
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    exporter = ".".join(map(str, programs.version(program))) if program else "not installed"
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} x {cpu}, Linux {platform.release()}",
        "Python": platform.python_version(),
        BLACKBOX: exporter,
        "rounds": f"{args.rounds} of {args.seconds:g} s",
    }


def _report(results: Results, machine: dict[str, str], args: argparse.Namespace) -> int:
    verdicts = evaluate(results)
    text = render_markdown(results, verdicts, machine)
    print(text)
    args.results.mkdir(parents=True, exist_ok=True)
    document = json.dumps(render_json(results, verdicts, machine), indent=1)
    (args.results / "accuracy.json").write_text(f"{document}\n")
    if not args.quick:
        publish("results", text)
    if importlib.util.find_spec("matplotlib"):
        from bench.accuracy_plot import draw  # noqa: PLC0415  (matplotlib is optional)

        draw(results, (args.results if args.quick else DIRECTORY / "results") / "accuracy.png")
    else:
        _log("no plot: matplotlib is not installed (pip install --group bench)")
    missed = [verdict for verdict in verdicts if not verdict.met]
    for verdict in missed:
        _log(
            f"missed: {verdict.criterion} ({verdict.where}): {verdict.compared:.3g}, "
            f"at most {verdict.bound:g}"
        )
    return 1 if missed else 0


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.accuracy", description=__doc__)
    parser.add_argument(
        "--before", metavar="REVISION", help="git revision whose errors are compared"
    )
    parser.add_argument(
        "--rounds", type=int, help=f"{ROUNDS}, or {ROUNDS_BEFORE} with another revision"
    )
    parser.add_argument("--seconds", type=float, default=3, help="of one run, after its warm-up")
    parser.add_argument(
        "--results",
        type=Path,
        default=DIRECTORY.parent / "build" / "bench",
        metavar="DIRECTORY",
        help="for the JSON file with all results (build/bench)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="check that the benchmark works: one round of 1 s; publish nothing",
    )
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds = 1, 1.0
    args.rounds = args.rounds or (ROUNDS_BEFORE if args.before else ROUNDS)
    return args


if __name__ == "__main__":
    sys.exit(main())
