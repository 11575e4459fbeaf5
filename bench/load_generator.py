"""Delays of the load generator: `python -m bench.load_generator [--seconds 20] [--rounds 3]`.

The processes of `inference-probe load` send requests with new connections in plain HTTP to a server
in C on the same machine. At the same time, as many processes with a bare timer sleep until the same
due times. They send nothing: their delays are those of the machine. The rate grows until the load
generator misses its bound. The exit code is 1 if that is below REQUIRED_RATE.
"""

import argparse
import gc
import math
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from statistics import median

from bench.markdown import aligned_table, environment, publish
from bench.processes import cpu_seconds
from bench.reference_server import Endpoint, ReferenceServer
from bench.start_delays import BareTimer
from probe.clock import Clock
from probe.daemon.prober_factory import ProberFactory
from probe.load.arrivals import Arrivals, due_times
from probe.load.generator import ProcessGenerator, default_processes
from probe.load.measurement import Counts, LatencyHistogram, total
from probe.load.objective import LoadObjective
from probe.result import RunProbe
from tests.builders import make_settings

RATES = (200.0, 500.0, 1000.0, 1250.0, 1500.0, 2000.0)
REQUIRED_RATE = 2000.0

# The bound of the 99th percentile of the delays: one of these.
MAX_LAG_SECONDS = 0.002
MAX_RATIO = 2.0

# At the end of a step, requests have this time (seconds) until they are failures.
TIMEOUT_SECONDS = 5.0

# Seconds of a step that are not measured: threads and connections are new.
WARM_UP_SECONDS = 2

MAX_IN_FLIGHT = 2000

FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One step with a rate. Times are seconds."""

    rate: float
    counts: Counts
    bare_lags: LatencyHistogram
    cpu_seconds: float
    """CPU time of the load generator for each request."""
    gc_pause_seconds: float
    """CPU time of the longest garbage collection in a process."""

    @property
    def lag_seconds(self) -> float:
        return quantile(self.counts.lags, 0.99)

    @property
    def bare_lag_seconds(self) -> float:
        return quantile(self.bare_lags, 0.99)

    @property
    def ratio(self) -> float:
        """Ratio of the 99th percentiles of both delays."""
        return self.lag_seconds / self.bare_lag_seconds

    @property
    def is_met(self) -> bool:
        return self.lag_seconds <= MAX_LAG_SECONDS or self.ratio <= MAX_RATIO


def quantile(histogram: LatencyHistogram, ratio: float) -> float:
    """Return the quantile `ratio` (seconds)."""
    return histogram.at_rank(math.ceil(ratio * histogram.count))


def main() -> int:
    args = _parser().parse_args()
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory() as directory:
        server = ReferenceServer(Path(directory))
        # Round by round, so that a disturbance does not concern one rate only.
        for _ in range(args.rounds):
            rounds += [_measure(server, rate, args.processes, args.seconds) for rate in args.rates]
    text = _markdown(rounds, args)
    print(text)
    if not args.dry_run:
        publish("load generator", text)
    met = [rate for rate, group in _by_rate(rounds) if _is_met(group)]
    return 0 if max(met, default=0.0) >= REQUIRED_RATE else 1


def _is_met(group: Sequence[Round]) -> bool:
    """Return whether most rounds meet the bound."""
    return sum(step.is_met for step in group) * 2 > len(group)


def _measure(server: ReferenceServer, rate: float, processes: int, seconds: int) -> Round:
    pause = FORK.Value("d", 0.0)
    with ExitStack() as stack:
        endpoint = stack.enter_context(server.run(tls=False))
        generator = stack.enter_context(_generator(endpoint, processes, pause))
        workers = [process.pid for process in multiprocessing.active_children() if process.pid]
        timers = [
            stack.enter_context(BareTimer(partial(_due_times, rate, index, processes, seconds)))
            for index in range(processes)
        ]
        cpu = sum(map(cpu_seconds, workers))
        starts = [timer.start() for timer in timers]
        generator.start(rate)
        generator.measure(seconds)
        measurement = generator.stop()
        cpu = sum(map(cpu_seconds, workers)) - cpu
        bare_lags = LatencyHistogram()
        for start, timer in zip(starts, timers, strict=True):
            for delay in timer.stop():
                if delay.due >= start + WARM_UP_SECONDS:
                    bare_lags.observe(delay.seconds)
    return Round(
        rate=rate,
        counts=total(measurement.seconds[WARM_UP_SECONDS:seconds]),
        bare_lags=bare_lags,
        cpu_seconds=cpu / total(measurement.seconds).offered,
        gc_pause_seconds=pause.value,
    )


def _generator(
    endpoint: Endpoint, processes: int, pause: "Synchronized[float]"
) -> ProcessGenerator:
    def build_runner() -> RunProbe:
        _record_gc_pauses(pause)
        with tempfile.TemporaryDirectory() as directory:
            probe = {"name": "model", "url": endpoint.url, "timeout": f"{TIMEOUT_SECONDS:g}s"}
            settings = make_settings(Path(directory), probe)
            factory = ProberFactory(environ=os.environ, base=Path(directory), clock=Clock())
            return factory.build(settings, ["model"])["model"].prober.run

    return ProcessGenerator(
        build_runner,
        [LoadObjective(target=0.95, threshold_seconds=0.1)],
        processes=processes,
        arrivals=Arrivals.POISSON,
        timeout_seconds=TIMEOUT_SECONDS,
        max_in_flight=MAX_IN_FLIGHT,
        clock=Clock(),
        seed=1,
    )


def _record_gc_pauses(pause: "Synchronized[float]") -> None:
    """Keep the CPU time of the longest garbage collection from now on in `pause`.

    Its wall time would mostly be the time for which the process had no CPU.
    """
    started = 0.0

    def record(phase: str, info: dict[str, int]) -> None:
        nonlocal started
        if phase == "start":
            started = time.thread_time()
            return
        seconds = time.thread_time() - started
        # The last collection of `run_worker` before the first request is a full one.
        if info["generation"] < 2 or gc.get_freeze_count():
            pause.value = max(pause.value, seconds)

    gc.callbacks.append(record)


def _due_times(rate: float, index: int, processes: int, seconds: float) -> Iterator[float]:
    """Yield the due times (s) of a bare timer for `seconds`."""
    rng = random.Random(f"1 {index} 1")
    arrivals = due_times(Arrivals.POISSON, rate, index=index, processes=processes, rng=rng)
    return takewhile(lambda due: due <= seconds, arrivals)


def _by_rate(rounds: Sequence[Round]) -> Iterator[tuple[float, list[Round]]]:
    for rate in sorted({step.rate for step in rounds}):
        yield rate, [step for step in rounds if step.rate == rate]


def _markdown(rounds: Sequence[Round], args: argparse.Namespace) -> str:
    head = ("rate", "lag p50", "lag p99", "bare timer p99", "ratio", "failed", "CPU", "GC", "met")
    rows = [_row(rate, group) for rate, group in _by_rate(rounds)]
    load = os.getloadavg()[0]
    met = [rate for rate, group in _by_rate(rounds) if _is_met(group)]
    missed = [rate for rate, group in _by_rate(rounds) if not _is_met(group)]
    conditions = (
        f"{environment()}; {args.processes} processes; rounds: {args.rounds} of {args.seconds} s;"
        f" load average at the end: {load:.1f}."
    )
    summary = f"Highest rate within the bound: {max(met, default=0):g} requests/s."
    if missed:
        summary += f" Lowest rate that misses it: {min(missed):g} requests/s."
    return "\n\n".join([conditions, aligned_table(head, rows), summary])


def _row(rate: float, group: Sequence[Round]) -> tuple[str, ...]:
    def middle(value: Callable[[Round], float]) -> float:
        return median(map(value, group))

    return (
        f"{rate:g}/s",
        f"{middle(lambda step: quantile(step.counts.lags, 0.5)) * 1000:.2f} ms",
        f"{middle(lambda step: step.lag_seconds) * 1000:.2f} ms",
        f"{middle(lambda step: step.bare_lag_seconds) * 1000:.2f} ms",
        f"{middle(lambda step: step.ratio):.2f}",
        f"{sum(step.counts.failed for step in group)}",
        f"{middle(lambda step: step.cpu_seconds) * 1000:.2f} ms",
        f"{max(step.gc_pause_seconds for step in group) * 1000:.2f} ms",
        "yes" if _is_met(group) else "**no**",
    )


def _rates(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.load_generator", description=__doc__)
    parser.add_argument("--rates", type=_rates, default=RATES, help="requests per second")
    parser.add_argument(
        "--processes", type=int, default=default_processes(max(RATES)), help="of either kind"
    )
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry-run", action="store_true", help="do not change bench/README.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
