"""Queues whose highest safe rate is known, for the benchmark of load tests."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import fmean, stdev

import numpy as np

from probe.demo.batch_queue import BATCH_ITEM_SECONDS, BATCH_OVERHEAD_SECONDS, BatchSettings
from probe.load.objective import LoadObjective
from tests.load.simulated_queue import (
    Floats,
    QueueModel,
    batches,
    constant,
    exponential,
    servers,
)

# Largest error of a limit that a formula gives (requests per second).
LIMIT_PRECISION = 1e-6

# The limit of the model with batches is the mean of this many simulations.
SIMULATIONS = 16
SIMULATED_REQUESTS = 500_000
SIMULATION_PRECISION = 0.02

# Quantile of Student's t distribution for a two-sided interval with 95 %, 15 degrees of freedom.
STUDENT_QUANTILE = 2.131

SIMULATION_SEED = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The highest rate (requests per second) at which the objective holds, in a steady state."""

    rate: float
    interval: float = 0.0
    """Half the 95 % interval, if the limit is simulated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """An endpoint with a known limit."""

    name: str
    objective: LoadObjective
    model: QueueModel
    first_rate: float
    """Half the rate of one request after the other, with which `inference-probe load` begins."""
    find_limit: Callable[[], Limit]

    @property
    def threshold_seconds(self) -> float:
        return _seconds(self.objective)


def _with_servers(name: str, count: int, service_seconds: float, objective: LoadObjective) -> Queue:
    """Return the queue M/M/`count`."""

    def slow_share(rate: float) -> float:
        return slow_share_with_exponential_times(count, service_seconds, rate, _seconds(objective))

    return Queue(
        name=name,
        objective=objective,
        model=servers(count, exponential(service_seconds)),
        # The median of exponential times.
        first_rate=0.5 / (math.log(2) * service_seconds),
        find_limit=lambda: Limit(
            rate=_limit_of(slow_share, objective, count / service_seconds, LIMIT_PRECISION)
        ),
    )


def _with_constant_times(name: str, service_seconds: float, objective: LoadObjective) -> Queue:
    """Return the queue M/D/1."""

    def slow_share(rate: float) -> float:
        return slow_share_with_constant_times(service_seconds, rate, _seconds(objective))

    return Queue(
        name=name,
        objective=objective,
        model=servers(1, constant(service_seconds)),
        first_rate=0.5 / service_seconds,
        find_limit=lambda: Limit(
            rate=_limit_of(slow_share, objective, 1 / service_seconds, LIMIT_PRECISION)
        ),
    )


def _with_batches(name: str, settings: BatchSettings, objective: LoadObjective) -> Queue:
    """Return the queue of the model with batches."""
    model = batches(settings)
    alone = settings.max_wait_seconds + BATCH_OVERHEAD_SECONDS + BATCH_ITEM_SECONDS
    return Queue(
        name=name,
        objective=objective,
        model=model,
        first_rate=0.5 / alone,
        find_limit=lambda: _simulated_limit(model, settings, objective),
    )


def _simulated_limit(model: QueueModel, settings: BatchSettings, objective: LoadObjective) -> Limit:
    """Return the mean of the limits of SIMULATIONS independent simulations.

    Those at different rates have the same requests, so the share of slow ones grows with the rate.
    """
    size = settings.max_batch_size
    capacity = size / (BATCH_OVERHEAD_SECONDS + size * BATCH_ITEM_SECONDS)
    limits = []
    for seed in range(SIMULATIONS):
        rng = np.random.default_rng((SIMULATION_SEED, seed))
        unit_times = rng.exponential(1, SIMULATED_REQUESTS).cumsum()
        slow_share = partial(_simulated_slow_share, model, unit_times, _seconds(objective))
        limits.append(_limit_of(slow_share, objective, capacity, SIMULATION_PRECISION))
    interval = STUDENT_QUANTILE * stdev(limits) / math.sqrt(SIMULATIONS)
    return Limit(rate=fmean(limits), interval=interval)


def _simulated_slow_share(
    model: QueueModel, unit_times: Floats, seconds: float, rate: float
) -> float:
    """Return the share of requests that take longer than `seconds`. `unit_times` have rate 1."""
    requests = model([(unit_times / rate).tolist()], np.random.default_rng())
    due, _, ends = map(np.array, next(requests))
    return float((ends - due > seconds).mean())


def _limit_of(
    slow_share: Callable[[float], float],
    objective: LoadObjective,
    capacity: float,
    precision: float,
) -> float:
    """Return the rate below `capacity` with the allowed share of slow requests, by bisection."""
    low, high = 0.0, capacity
    while high - low > precision:
        rate = (low + high) / 2
        low, high = (rate, high) if slow_share(rate) <= objective.allowed else (low, rate)
    return low


def _seconds(objective: LoadObjective) -> float:
    assert objective.threshold_seconds
    return objective.threshold_seconds


def slow_share_with_exponential_times(
    servers: int, service_seconds: float, rate: float, seconds: float
) -> float:
    """Return the share of requests that take longer than `seconds` in the queue M/M/c.

    From Erlang's formula C for the share that waits, and the exponential distributions of the times
    that they wait and are served. `rate` is below the capacity.
    """
    service_rate = 1 / service_seconds
    load = rate / service_rate
    inverse_loss = 1.0
    for number in range(1, servers + 1):
        inverse_loss = 1 + inverse_loss * number / load
    waiting_share = 1 / (inverse_loss * (1 - load / servers) + load / servers)
    excess = service_rate - (servers * service_rate - rate)
    growth = math.expm1(excess * seconds) / excess if excess else seconds
    return math.exp(-service_rate * seconds) * (1 + waiting_share * service_rate * growth)


def slow_share_with_constant_times(service_seconds: float, rate: float, seconds: float) -> float:
    """Return the share of requests that take longer than `seconds` in the queue M/D/1.

    Erlang's distribution of the waiting time (1909). `rate` is below the capacity.
    """
    wait = seconds - service_seconds
    terms = (
        (rate * (number * service_seconds - wait)) ** number
        / math.factorial(number)
        * math.exp(-rate * (number * service_seconds - wait))
        for number in range(math.floor(wait / service_seconds + 1e-9) + 1)
    )
    return 1 - (1 - rate * service_seconds) * sum(terms)


BATCHES = "batches"

QUEUES = {
    queue.name: queue
    for queue in (
        _with_servers("M/M/4", 4, 0.1, LoadObjective(target=0.95, threshold_seconds=0.4)),
        _with_constant_times("M/D/1", 0.01, LoadObjective(target=0.95, threshold_seconds=0.04)),
        _with_servers("64 slots", 64, 0.1, LoadObjective(target=0.95, threshold_seconds=0.4)),
        _with_batches(BATCHES, BatchSettings(), LoadObjective(target=0.95, threshold_seconds=0.12)),
    )
}
