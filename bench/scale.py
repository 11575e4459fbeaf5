"""Measure the cost of many probes: `python -m bench.scale [--quick] [--only 5000@250]`.

Runs the daemon with 10 to 10,000 probes, at a constant and at a growing rate, and blackbox_exporter
at the same rates. Measures CPU, delays of the starts next to a bare timer, skipped ticks, memory,
scrapes, pages, reloads and the start. Prints tables and publishes them in bench/README.md. Exit
code 0 if every bound is met, 1 if one is missed, 2 if the benchmark cannot run. bench/README.md
explains the results.
"""

import argparse
import compileall
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import programs
from bench.accuracy_results import BLACKBOX
from bench.blackbox import PROGRAMS, Blackbox
from bench.markdown import environment, publish
from bench.reference_server import ReferenceServer, ReferenceServerError
from bench.revision import ROOT
from bench.scale_criteria import evaluate
from bench.scale_daemon import Plan, ScaleBench
from bench.scale_report import render_json, render_markdown
from bench.scale_results import QUICK_WORKLOADS, WORKLOADS, ScaleResult, ScaleWorkload

RESULTS = Path(__file__).parent.parent / "build" / "bench"
QUICK_PLAN = Plan(
    quiet_seconds=2.0, scraped_seconds=2.0, requests=1, pause_seconds=0.5, peer_seconds=1.0
)


def main() -> int:
    args = _arguments()
    # SystemExit ends the child processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    program = max(programs.find(os.environ, *PROGRAMS), key=programs.version, default=None)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        try:
            server = ReferenceServer(directory)
        except ReferenceServerError as error:
            print(error, file=sys.stderr)
            return 2
        exporter = Blackbox(program, server, directory) if program else None
        # As pip does: to compile them takes 0.3 s, a third of the start. Python does not store the
        # result with PYTHONDONTWRITEBYTECODE.
        compileall.compile_dir(ROOT / "probe", quiet=1)
        bench = ScaleBench(server, directory, exporter, QUICK_PLAN if args.quick else Plan())
        results, failures = [], []
        for workload in args.workloads:
            print(workload, file=sys.stderr, flush=True)
            try:
                results.append(bench.measure(workload))
            except OSError as error:  # such as a scrape that times out
                # Without the log of the daemon, which may follow.
                reason = str(error).partition("\n")[0].rstrip(":.")
                failures.append(f"**Not measured**: {workload}: {reason}.")
    return _report(results, failures, _conditions(program), args)


def _conditions(program: Path | None) -> str:
    version = ".".join(map(str, programs.version(program))) if program else "not installed"
    return f"{environment()}; {BLACKBOX}: {version}; load average: {os.getloadavg()[1]:.1f}."


def _report(
    results: Sequence[ScaleResult],
    failures: Sequence[str],
    conditions: str,
    args: argparse.Namespace,
) -> int:
    verdicts = evaluate(results)
    text = "\n\n".join([render_markdown(results, verdicts, conditions), *failures])
    print(text)
    RESULTS.mkdir(parents=True, exist_ok=True)
    document = json.dumps(render_json(results, verdicts, conditions), indent=1)
    (RESULTS / "scale.json").write_text(f"{document}\n")
    if args.workloads == WORKLOADS:
        publish("scale", text)
    return 0 if not failures and all(verdict.met for verdict in verdicts) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.scale", description=__doc__)
    by_key: dict[str, ScaleWorkload] = {workload.key: workload for workload in WORKLOADS}
    parser.add_argument(
        "--only",
        nargs="+",
        choices=by_key,
        metavar="PROBES@RATE",
        help=f"workloads to measure; publish nothing ({', '.join(by_key)})",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="check that the benchmark works: two small workloads; publish nothing",
    )
    args = parser.parse_args()
    args.workloads = WORKLOADS
    if args.only:
        args.workloads = tuple(by_key[key] for key in args.only)
    elif args.quick:
        args.workloads = QUICK_WORKLOADS
    return args


if __name__ == "__main__":
    sys.exit(main())
