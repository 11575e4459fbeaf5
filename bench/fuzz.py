"""Probe a million arbitrary responses and load 100,000 arbitrary configs: `python -m bench.fuzz`.

Each example is a valid response or config with random mistakes. It is determined by the seed and
its number. A response must give a result, and a config must be valid or have problems with
locations. Other exceptions are failures; their bytes are written into build/bench. Growth of
memory, threads and descriptors is a leak. The property-based tests of `tests` search in the same
way, with few examples, and simplify those that fail. Exit code 1 if there is a failure or a leak.
"""

import argparse
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from bench.fuzz_examples import config_texts, random_config, random_response
from bench.markdown import aligned_table, environment, publish
from bench.processes import memory
from probe import threads
from tests.config.test_fuzz import check_problems
from tests.prober.test_fuzz import check_result
from tests.raw_responses import raw_response_server

RESPONSES, CONFIGS = 1_000_000, 100_000

# Of the threads that read files, instead of a minute: so that few of them wait at a time.
IDLE_THREAD_SECONDS = 0.5

# Examples that failed.
FAILURES = Path(__file__).parents[1] / "build" / "bench"

# The part of the examples before the first measurement of memory. Caches are full then.
WARM_UP_RATIO = 0.2

# What a process may use in addition at the end. A leak of 100 bytes for each of half a million
# responses is 50 MB. Some connections of the server are being closed at any time.
MAX_GROWTH_MEGABYTES, MAX_GROWTH_THREADS, MAX_GROWTH_DESCRIPTORS = 8.0, 10, 10

# Checks the example that the generator determines; returns its bytes and its result.
Check = Callable[[random.Random], tuple[bytes, Callable[[], str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Resources of a process."""

    megabytes: float
    threads: int
    descriptors: int

    @classmethod
    def read(cls) -> "Usage":
        return cls(
            megabytes=memory(os.getpid())[0],
            threads=len(list(Path("/proc/self/task").iterdir())),
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one process found."""

    results: Counter[str]
    failures: Sequence[str]
    """Numbers of the examples, and the last lines of the tracebacks."""
    warm: Usage
    end: Usage
    seconds: float

    @property
    def growth_megabytes(self) -> float:
        return self.end.megabytes - self.warm.megabytes

    @property
    def growth(self) -> str:
        threads = self.end.threads - self.warm.threads
        descriptors = self.end.descriptors - self.warm.descriptors
        return f"{self.growth_megabytes:+.1f} MB {threads:+} threads {descriptors:+} descriptors"

    @property
    def leaks(self) -> bool:
        return (
            self.growth_megabytes > MAX_GROWTH_MEGABYTES
            or self.end.threads > self.warm.threads + MAX_GROWTH_THREADS
            or self.end.descriptors > self.warm.descriptors + MAX_GROWTH_DESCRIPTORS
        )


def main() -> int:
    args = _parser().parse_args()
    rows, failed = [], False
    for name, fuzz, count in (
        ("responses", fuzz_responses, args.responses),
        ("configs", fuzz_configs, args.configs),
    ):
        outcomes = _run(fuzz, count, args)
        rows.append(_row(name, count, outcomes))
        for failure in (failure for outcome in outcomes for failure in outcome.failures):
            print(f"failed: {failure}", file=sys.stderr)
        failed |= any(outcome.failures or outcome.leaks for outcome in outcomes)
    head = ("examples", "count", "failures", "duration", "growth", "leak", "results")
    table = aligned_table(head, rows)
    text = f"{environment()}; {args.processes} processes, seed {args.seed}.\n\n{table}"
    print(text)
    if args.responses >= RESPONSES and args.configs >= CONFIGS:
        publish("fuzz", text)
    return 1 if failed else 0


def _run(
    fuzz: Callable[[int, range], Outcome], count: int, args: argparse.Namespace
) -> list[Outcome]:
    """Divide `count` examples between processes."""
    parts = [range(part, count, args.processes) for part in range(args.processes)]
    # No fork: the process has threads.
    with ProcessPoolExecutor(args.processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(fuzz, [args.seed] * len(parts), parts))


def fuzz_responses(seed: int, numbers: range) -> Outcome:
    """Probe the responses with these numbers."""
    with raw_response_server() as server:

        def check(generator: random.Random) -> tuple[bytes, Callable[[], str]]:
            kind, response = random_response(generator)

            def reason() -> str:
                failure = check_result(server, kind, response).failure
                return failure.reason if failure else "success"

            return repr((kind, response)).encode(), reason

        return _check_all(f"{seed} response", numbers, check)


def fuzz_configs(seed: int, numbers: range) -> Outcome:
    """Load the configs with these numbers."""
    texts = config_texts()

    def check(generator: random.Random) -> tuple[bytes, Callable[[], str]]:
        content = random_config(generator, texts)
        return content, lambda: "invalid" if check_problems(content) else "valid"

    return _check_all(f"{seed} config", numbers, check)


def _check_all(seed: str, numbers: range, check: Check) -> Outcome:
    # Each config with a secret file starts a thread. It ends when it has been idle.
    threads.MAX_IDLE_SECONDS = IDLE_THREAD_SECONDS
    results, failures = Counter[str](), list[str]()
    started, warm = time.monotonic(), Usage.read()
    for position, number in enumerate(numbers):
        if position == int(len(numbers) * WARM_UP_RATIO):
            warm = Usage.read()
        name = f"{seed} {number}"
        content, run = check(random.Random(name))
        try:
            results[run()] += 1
        except Exception:  # noqa: BLE001 (it is reported; the other examples are checked)
            file = FAILURES / f"fuzz {name}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            failures.append(f"{file}: {traceback.format_exc().splitlines()[-1]}")
    time.sleep(2 * IDLE_THREAD_SECONDS)
    return Outcome(
        results=results,
        failures=failures,
        warm=warm,
        end=Usage.read(),
        seconds=time.monotonic() - started,
    )


def _row(name: str, count: int, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    results = sum((outcome.results for outcome in outcomes), Counter[str]())
    most = ", ".join(f"{result} {n:,}" for result, n in results.most_common())
    return (
        name,
        f"{count:,}",
        str(sum(len(outcome.failures) for outcome in outcomes)),
        f"{max(outcome.seconds for outcome in outcomes) / 60:.1f} min",
        ", ".join(outcome.growth for outcome in outcomes),
        "**yes**" if any(outcome.leaks for outcome in outcomes) else "no",
        most,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.fuzz", description=__doc__)
    parser.add_argument("--responses", type=int, default=RESPONSES)
    parser.add_argument("--configs", type=int, default=CONFIGS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    return parser


if __name__ == "__main__":
    sys.exit(main())
