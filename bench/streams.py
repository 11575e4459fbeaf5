"""Measure the error of the times of streams: `python -m bench.streams [--quick]`.

Runs the daemon and other clients in turn against a server that knows when the kernel has sent each
token. Compares the time to the first token and the time per token: with one stream at a time, with
50, and with the GIL held. The other clients are installed in separate virtual environments
(build/bench/environments; up to 6 GB). Then runs the daemon with 100 streams at a time, next to
other probes. Prints tables and publishes them in bench/README.md. Exit code 0 if every bound is
met, 1 if one is missed, 2 if the benchmark cannot run.
"""

import argparse
import dataclasses
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench import stream_daemon, stream_load
from bench.accuracy_results import DAEMON
from bench.markdown import environment, publish
from bench.reference_server import ReferenceServer, ReferenceServerError
from bench.stream_peers import PEERS, Peer, PeerError
from bench.stream_report import render_accuracies, render_load
from bench.stream_results import StreamAccuracy, evaluate
from bench.stream_workload import BUSY, IDLE, StreamRun, StreamWorkload

WORKLOADS = (
    IDLE,
    BUSY,
    dataclasses.replace(IDLE, gil=True),
    dataclasses.replace(BUSY, gil=True),
)

Contender = tuple[str, StreamWorkload, Callable[[], StreamRun]]


def main() -> int:
    args = _arguments()
    # SystemExit ends the child processes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    peers = {peer: programs for peer in PEERS if (programs := _install(peer, args))}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        try:
            server = ReferenceServer(directory)
        except ReferenceServerError as error:
            print(error, file=sys.stderr)
            return 2
        accuracies = _measure(args, list(_contenders(args, peers, server, directory)))
        _log(f"{stream_load.STREAMS} streams")
        load = stream_load.measure(server, directory, args.load_seconds)
    verdicts = list(evaluate(accuracies))
    _report(args, "streams", render_accuracies(accuracies, verdicts, _head(args, peers)))
    _report(args, "stream load", render_load(load, f"{environment()}."))
    return 0 if all(verdict.met for verdict in (*verdicts, *load.verdicts())) else 1


def _report(args: argparse.Namespace, mark: str, text: str) -> None:
    print(text, end="\n\n")
    if not args.quick and (args.rounds or mark != "streams"):
        publish(mark, text)


def _install(peer: Peer, args: argparse.Namespace) -> Path | None:
    """Return the directory of a peer's programs; None without it."""
    if peer.name not in args.peers or not args.rounds:
        return None
    _log(f"installing {' '.join(peer.requirements)}")
    try:
        return peer.install()
    except PeerError as error:
        _log(str(error))
        return None


def _contenders(
    args: argparse.Namespace,
    peers: dict[Peer, Path],
    server: ReferenceServer,
    directory: Path,
) -> Iterator[Contender]:
    """Yield what is compared next to each other."""
    for workload in WORKLOADS:
        measure = partial(stream_daemon.measure, workload, server, directory, args.seconds)
        yield DAEMON, workload, measure
        for peer, programs in peers.items():
            if peer.can_hold_gil or not workload.gil:
                measure = partial(peer.measure, programs, workload, server, directory, args.seconds)
                yield peer.name, workload, measure


def _measure(args: argparse.Namespace, contenders: list[Contender]) -> list[StreamAccuracy]:
    """Run each contender once per round, so that other load on the machine affects all of them."""
    runs: list[list[StreamRun]] = [[] for _ in contenders]
    for number in range(1, args.rounds + 1):
        for index, (client, workload, measure) in enumerate(contenders):
            _log(f"round {number} of {args.rounds}: {client}, {workload.title}")
            try:
                runs[index].append(measure())
            except PeerError as error:
                _log(str(error))
    return [
        StreamAccuracy(client=client, workload=workload, runs=tuple(runs_of_contender))
        for (client, workload, _), runs_of_contender in zip(contenders, runs, strict=True)
    ]


def _head(args: argparse.Namespace, peers: dict[Peer, Path]) -> str:
    versions = ", ".join(peer.requirements[0] for peer in peers)
    missing = sorted({*args.peers} - {peer.name for peer in peers})
    absent = f"; not installed: {', '.join(missing)}" if missing else ""
    return f"{environment()}; {versions}{absent}; {args.rounds} rounds of {args.seconds:g} s."


def _log(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.streams", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="0: only the 100 streams at a time")
    parser.add_argument("--seconds", type=float, default=10, help="of one run, after its warm-up")
    parser.add_argument(
        "--load-seconds", type=float, default=60, help="of the run with 100 streams at a time"
    )
    names = [peer.name for peer in PEERS]
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=names,
        default=names,
        metavar="NAME",
        help=f"clients to compare with ({', '.join(names)}); without NAME: none",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="check that the benchmark works: one round of 2 s; publish nothing",
    )
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds, args.load_seconds = 1, 2.0, 10.0
    return args


if __name__ == "__main__":
    sys.exit(main())
