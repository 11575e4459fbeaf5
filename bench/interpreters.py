"""Measure a probe in other Python interpreters: `python -m bench.interpreters NAME=PYTHON`.

Each interpreter needs the packages of requirements.lock, for example in a virtual environment. Runs
of the same probe, in plain HTTP and with TLS, on new and on reused connections, alternate between
the interpreters. Prints the CPU time of a run, and its ratio to that in the interpreter of the
benchmark. Publishes the table in bench/README.md. Exit code 2 if the benchmark cannot run.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.features import (
    Variant,
    measure_blocks,
    parse_block_arguments,
    run_worker,
    write_config,
)
from bench.markdown import aligned_table, environment, publish
from bench.reference_server import ReferenceServer, ReferenceServerError, StreamShape
from bench.revision import ROOT
from bench.rounds import median_interval

ROUNDS, BLOCKS = 6, 20

PRINT_VERSIONS = """
import platform, ssl
print(f"Python {platform.python_version()}, {' '.join(ssl.OPENSSL_VERSION.split()[:2])}")
"""

# Columns of the table, by whether there is TLS and by `connection`.
WORKLOADS = {
    "plain, new": (False, "new"),
    "plain, reused": (False, "reuse"),
    "TLS, new": (True, "new"),
    "TLS, reused": (True, "reuse"),
}

# CPU time (seconds) of the blocks of a round, by interpreter.
Times = Mapping[str, Sequence[float]]


def main() -> int:
    args = _arguments()
    interpreters = {"this one": sys.executable, **dict(args.interpreters)}
    try:
        versions = {name: _versions(python) for name, python in interpreters.items()}
        rounds = _measure(interpreters, args)
    except (OSError, ReferenceServerError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    head = f"{environment()}; {args.rounds} rounds of {args.blocks} blocks"
    columns = ("interpreter", "versions", *WORKLOADS)
    rows = [
        (name, text, *(_cell(rounds[workload], name) for workload in WORKLOADS))
        for name, text in versions.items()
    ]
    text = f"{head}.\n\n{aligned_table(columns, rows)}"
    print(text)
    if not args.quick:
        publish("interpreters", text)
    return 0


def _versions(python: str) -> str:
    """Return the versions of Python and OpenSSL."""
    command = (python, "-c", PRINT_VERSIONS)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _measure(interpreters: Mapping[str, str], args: argparse.Namespace) -> dict[str, list[Times]]:
    """Return the rounds of each workload."""
    rounds: dict[str, list[Times]] = {workload: [] for workload in WORKLOADS}
    # All processes run on one CPU, because CPUs differ in speed.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as directory:
        server = ReferenceServer(Path(directory))
        for number in range(1, args.rounds + 1):
            print(f"round {number} of {args.rounds}", file=sys.stderr, flush=True)
            for workload, (tls, connection) in WORKLOADS.items():
                ca_file = {"tls": {"ca_file": str(server.ca_file)}} if tls else {}
                variant = Variant(keys={"connection": connection, **ca_file})
                # Without a delay, so that the time of the benchmark is CPU time.
                with server.run(tls=tls, streams=StreamShape(first_token=0)) as endpoint:
                    config = write_config(Path(directory), variant, endpoint.url)
                    rounds[workload].append(_measure_round(interpreters, config, args.blocks))
    return rounds


def _measure_round(interpreters: Mapping[str, str], config: Path, blocks: int) -> Times:
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(run_worker(config, ROOT, python))
            for name, python in interpreters.items()
        }
        return measure_blocks(workers, blocks)


def _cell(rounds: Sequence[Times], name: str) -> str:
    """Return the median CPU time, and the ratio with its interval."""
    cpu = statistics.median(statistics.median(times[name]) for times in rounds)
    ratios = [
        statistics.median(a / b for a, b in zip(times[name], times["this one"], strict=True))
        for times in rounds
    ]
    low, high = median_interval(ratios)
    ratio = f"; {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})"
    return f"{cpu * 1e6:.0f} µs{ratio if name != 'this one' else ''}"


def _interpreter(text: str) -> tuple[str, str]:
    """Return the name and the path of `NAME=PYTHON`."""
    name, separator, python = text.partition("=")
    if not (name and separator and python):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=PYTHON; write for example 3.14=/opt/python3.14/bin/python"
        )
    return name, python


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.interpreters", description=__doc__)
    parser.add_argument(
        "interpreters",
        metavar="NAME=PYTHON",
        nargs="+",
        type=_interpreter,
        help="name in the table, and path of an interpreter",
    )
    return parse_block_arguments(parser, rounds=ROUNDS, blocks=BLOCKS)


if __name__ == "__main__":
    sys.exit(main())
