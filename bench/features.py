"""Measure the CPU time that features of a probe cost: `python -m bench.features [--quick]`.

Processes with and without a feature run the same probe in turn. With `--before REVISION`, the code
of that revision is also measured, and the bounds of the difference are checked. Prints a table and
publishes it in bench/README.md. Exit code 0 if every bound is met, 1 if one is missed, 2 if the
benchmark cannot run.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.markdown import aligned_table, environment, publish
from bench.processes import TERMINATION_TIMEOUT_SECONDS, terminate
from bench.reference_server import ReferenceServer, ReferenceServerError, StreamShape
from bench.revision import ROOT, extract
from bench.rounds import median_interval

WORKER = Path(__file__).with_name("features_worker.py")

# Runs of one process before the next one's turn, about 20 ms.
BLOCK_RUNS = 20

WARM_UP_RUNS = 50

ROUNDS, BLOCKS = 8, 40

MAX_RATIO, MAX_TRACED_RATIO = 1.03, 1.05

_HEADER = {"from": "header", "key": "Content-Type"}
_VERSION = {"version": _HEADER}
_COLD = {"cold": {"header": "X-Cold-Start"}}
_OWN_TRACEPARENT = {"headers": {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A config of the probe, and whether the code before the features runs it."""

    keys: Mapping[str, Any]
    """Keys of the probe."""
    sample: str | None = None
    """`tracing.sample`."""
    is_before: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Names of two variants, and the bound of the ratio of their CPU times."""

    variant: str
    baseline: str
    bound: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Ratios of the CPU times of a comparison, one of each round."""

    comparison: Comparison
    rounds: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def interval(self) -> tuple[float, float]:
        return median_interval(self.rounds)

    @property
    def is_met(self) -> bool:
        bound = self.comparison.bound
        return bound is None or self.median <= bound


DEFAULT, SAME, OWN = "default", "the same again", "own `traceparent`"
BEFORE, OWN_BEFORE = "default, before", "own `traceparent`, before"

VARIANTS = {
    DEFAULT: Variant(keys={}),
    SAME: Variant(keys={}),
    OWN: Variant(keys=_OWN_TRACEPARENT),
    "`tracing: {sample: always}`": Variant(keys={}, sample="always"),
    "`version` from a header": Variant(keys=_VERSION),
    "`version` and `segment` from JSON": Variant(
        keys={
            "version": {"from": "json", "key": "$.result"},
            "segment": {"from": "json", "key": "$.confidence"},
        }
    ),
    "`version` with `histogram_by`": Variant(keys={**_VERSION, "histogram_by": ["version"]}),
    "`cold` with a header": Variant(keys=_COLD),
    BEFORE: Variant(keys={}, is_before=True),
    OWN_BEFORE: Variant(keys=_OWN_TRACEPARENT, is_before=True),
}

COMPARISONS = (
    Comparison(variant=SAME, baseline=DEFAULT),
    Comparison(variant=OWN, baseline=OWN_BEFORE, bound=MAX_RATIO),
    Comparison(variant=DEFAULT, baseline=BEFORE, bound=MAX_TRACED_RATIO),
    Comparison(variant="`tracing: {sample: always}`", baseline=BEFORE, bound=MAX_TRACED_RATIO),
    *(
        Comparison(variant=name, baseline=DEFAULT)
        for name, variant in VARIANTS.items()
        if name not in (DEFAULT, SAME, OWN) and not variant.is_before
    ),
)


class Worker:
    """A process that runs the probe of one variant."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def cpu_seconds(self, runs: int) -> float:
        """Return the CPU time of `runs` runs. Raises ChildProcessError if they fail."""
        assert self._process.stdin
        assert self._process.stdout
        print(runs, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError("a worker has ended; its error is above")
        return float(line)


def main() -> int:
    args = _arguments()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        try:
            server = ReferenceServer(directory)
            code = extract(args.before, directory / "before") if args.before else None
        except (ReferenceServerError, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            return 2
        # All processes run on one CPU, because CPUs differ in speed by up to a third, such as if
        # another machine shares one of them.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        # Without a delay, so that the time of the benchmark is CPU time.
        with server.run(tls=False, streams=StreamShape(first_token=0)) as endpoint:
            rounds = []
            for number in range(1, args.rounds + 1):
                print(f"round {number} of {args.rounds}", file=sys.stderr, flush=True)
                rounds.append(_measure_round(endpoint.url, directory, code, args.blocks))
    ratios = compare(rounds)
    text = _markdown(rounds, ratios, args)
    print(text)
    if not args.quick:
        publish("features", text)
    return 0 if all(ratio.is_met for ratio in ratios) else 1


def _measure_round(
    url: str, directory: Path, before: Path | None, blocks: int
) -> dict[str, list[float]]:
    """Return the CPU time of a run (seconds) in each block of each variant.

    Each round has new processes: two of the same code differ by up to some percent for as long as
    they run, for example by the addresses of their objects.
    """
    with ExitStack() as stack:
        workers = {}
        for name, variant in VARIANTS.items():
            code = before if variant.is_before else ROOT
            if code:
                config = write_config(directory, variant, url)
                workers[name] = stack.enter_context(run_worker(config, code))
        return measure_blocks(workers, blocks)


def measure_blocks(workers: Mapping[str, Worker], blocks: int) -> dict[str, list[float]]:
    """Return the CPU time of a run (seconds) in each block of each worker."""
    times: dict[str, list[float]] = {name: [] for name in workers}
    for worker in workers.values():  # the first response comes after the warm-up
        worker.cpu_seconds(WARM_UP_RUNS)
    order = list(workers)
    for _ in range(blocks):
        # A fixed or reversed order would give some workers always the same predecessor, or a warm
        # cache.
        random.shuffle(order)
        for name in order:
            times[name].append(workers[name].cpu_seconds(BLOCK_RUNS) / BLOCK_RUNS)
    return times


def write_config(directory: Path, variant: Variant, url: str) -> Path:
    """Write the config of a variant to a new file."""
    objective = {"name": "fast", "target": "99%", "latency": "500ms"}
    probe = {"name": "model", "url": url, "objectives": [objective], **variant.keys}
    tracing = {"tracing": {"sample": variant.sample}} if variant.sample else {}
    config = directory / f"{len(list(directory.glob('*.yml')))}.yml"
    config.write_text(yaml.safe_dump({"probes": [probe], **tracing}))
    return config


@contextmanager
def run_worker(config: Path, code: Path, python: str = sys.executable) -> Iterator[Worker]:
    """Run a worker in the interpreter `python`, with the package `probe` in `code`."""
    process = subprocess.Popen(
        # Without -P, the modules of the benchmarks would hide others with the same names.
        (python, "-P", WORKER, config),
        env={**os.environ, "PYTHONPATH": str(code)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Worker(process)
        # The end of its input ends the worker.
        process.communicate(timeout=TERMINATION_TIMEOUT_SECONDS)
        if process.returncode:
            raise ChildProcessError("a worker has failed; its error is above")
    finally:
        terminate(process)


def compare(rounds: Sequence[Mapping[str, Sequence[float]]]) -> list[Ratio]:
    """Return the ratios of the comparisons whose variants were measured.

    That of a round is the median over its blocks: those in which the machine was busy are in the
    tail.
    """
    ratios = []
    for comparison in COMPARISONS:
        variant, baseline = comparison.variant, comparison.baseline
        found = [
            statistics.median(a / b for a, b in zip(times[variant], times[baseline], strict=True))
            for times in rounds
            if times.keys() >= {variant, baseline}
        ]
        if found:
            ratios.append(Ratio(comparison=comparison, rounds=found))
    return ratios


def _markdown(
    rounds: Sequence[Mapping[str, Sequence[float]]],
    ratios: Sequence[Ratio],
    args: argparse.Namespace,
) -> str:
    head = f"{environment()}; {len(rounds)} rounds of {args.blocks} blocks"
    before = f"; before: {args.before}" if args.before else ""
    columns = ("variant", "compared with", "CPU", "more CPU", "interval", "at most", "met")
    rows = (_row(rounds, ratio) for ratio in ratios)
    return f"{head}{before}.\n\n{aligned_table(columns, rows)}"


def _row(rounds: Sequence[Mapping[str, Sequence[float]]], ratio: Ratio) -> tuple[str, ...]:
    comparison, (low, high) = ratio.comparison, ratio.interval
    cpu = statistics.median(statistics.median(times[comparison.variant]) for times in rounds)
    return (
        comparison.variant,
        comparison.baseline,
        f"{cpu * 1e6:.0f} µs",
        _percent(ratio.median),
        f"{_percent(low)} to {_percent(high)}",
        _percent(comparison.bound) if comparison.bound else "",
        ("yes" if ratio.is_met else "**no**") if comparison.bound else "",
    )


def _percent(ratio: float) -> str:
    return f"{(ratio - 1) * 100:+.1f} %"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.features", description=__doc__)
    parser.add_argument(
        "--before", metavar="REVISION", help="git revision of the code before the features"
    )
    return parse_block_arguments(parser, rounds=ROUNDS, blocks=BLOCKS)


def parse_block_arguments(
    parser: argparse.ArgumentParser, *, rounds: int, blocks: int
) -> argparse.Namespace:
    """Add the flags of a benchmark that measures in blocks, with these defaults, and parse all."""
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--blocks", type=int, default=blocks, help="of each worker in a round")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="check that the benchmark works: one round of two blocks; publish nothing",
    )
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.blocks = 1, 2
    return args


if __name__ == "__main__":
    sys.exit(main())
