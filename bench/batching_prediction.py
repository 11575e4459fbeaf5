"""What to expect of the toy model with batches: the formula of `size`, and a simulation."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from bench.accuracy_results import quantile
from probe.demo.batch_queue import (
    BATCH_ITEM_SECONDS,
    BATCH_OVERHEAD_SECONDS,
    BatchQueue,
    BatchSettings,
)
from probe.load.sizing import BatchPlan, plan_batch

# Simulated requests that arrive in this time are not counted: the queue is still growing.
WARM_UP_SECONDS = 5.0

# Simulated runs of a rate, each from an empty queue.
RUNS = 60


def predicted_plan(settings: BatchSettings, rate: float) -> BatchPlan:
    """Return the formula for the batches that form at `rate` requests per second.

    A batch has as many requests as arrive within the maximum wait, if they arrive evenly. If such
    batches are saturated, the queue grows until they are large enough.
    """
    wait = _fraction(settings.max_wait_seconds)
    size = min(settings.max_batch_size, math.floor(rate * wait) + 1)
    while _plan(size, rate).is_saturated and size < settings.max_batch_size:
        size += 1
    return _plan(size, rate)


def capacity(settings: BatchSettings) -> Fraction:
    """Return the requests per second in full batches."""
    return _plan(settings.max_batch_size, 1).capacity


def _plan(size: int, rate: float) -> BatchPlan:
    return plan_batch(
        size,
        overhead_seconds=_fraction(BATCH_OVERHEAD_SECONDS),
        item_seconds=_fraction(BATCH_ITEM_SECONDS),
        rate=_fraction(rate),
    )


def _fraction(number: float) -> Fraction:
    """Return the decimal number that was written."""
    return Fraction(repr(number))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedP95:
    """The 95th percentile of the latency (seconds) in runs of the same duration.

    `median` is that of the runs; a tenth of them is outside `low` to `high`.
    """

    low: float
    median: float
    high: float


def simulate_p95(
    settings: BatchSettings, rate: float, *, seconds: float, runs: int = RUNS
) -> SimulatedP95:
    """Return the 95th percentile of runs with Poisson arrivals that are counted for `seconds`."""
    values = [
        quantile(simulate_latencies(settings, rate, seconds=seconds, rng=random.Random(seed)), 0.95)
        for seed in range(runs)
    ]
    low, median, high = (quantile(values, ratio) for ratio in (0.05, 0.5, 0.95))
    return SimulatedP95(low=low, median=median, high=high)


def simulate_latencies(
    settings: BatchSettings, rate: float, *, seconds: float, rng: random.Random
) -> Iterator[float]:
    """Yield the latencies of the requests that arrive within `seconds` after the warm-up."""
    queue: BatchQueue[None] = BatchQueue(settings)
    time = rng.expovariate(rate)
    while time < WARM_UP_SECONDS + seconds:
        yield from _ended(queue, time)
        queue.add(None, time)
        time += rng.expovariate(rate)
    yield from _ended(queue, math.inf)


def _ended(queue: BatchQueue[None], now: float) -> Iterator[float]:
    for batch in queue.advance(now):
        for arrival in batch.arrivals:
            if arrival.at >= WARM_UP_SECONDS:
                yield batch.ended - arrival.at
