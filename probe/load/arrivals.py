"""Due times of requests at a constant mean rate."""

import random
from collections.abc import Iterator
from enum import StrEnum


class Arrivals(StrEnum):
    """Distribution of the times between two requests."""

    POISSON = "poisson"
    """Random and independent, as requests of many clients are."""
    UNIFORM = "uniform"
    """All equal. The queue of the endpoint is shorter than in production."""


def due_times(
    arrivals: Arrivals, rate: float, *, index: int, processes: int, rng: random.Random
) -> Iterator[float]:
    """Yield the due times (seconds from the start) of process `index` of `processes`.

    All processes together have `rate` requests per second. The sum of independent Poisson processes
    is a Poisson process; uniform times are dealt out in turn.
    """
    if arrivals is Arrivals.POISSON:
        time = 0.0
        while True:
            time += rng.expovariate(rate / processes)
            yield time
    number = index
    while True:
        yield number / rate
        number += processes
