"""Searches for the limit of a queue in virtual time: that of the product, and a usual one."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.load_queues import QUEUES, Queue
from probe.load.measurement import total
from probe.load.search import RATE_GROWTH, RATE_PRECISION, SearchOptions
from tests.load.simulated_queue import (
    ArrivalModel,
    SimulatedQueue,
    poisson_arrivals,
    search,
    uniform_arrivals,
)

PRODUCT = "inference-probe"

# Defaults of `inference-probe load`, except for the rate: the largest queue serves 640 per second.
MAX_SECONDS = 1200.0
MAX_RATE = 10_000.0

# Duration of the steps of a usual search.
USUAL_STEP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a search found, and what it took."""

    rate: float | None
    """The highest safe rate (requests per second). None: it confirmed none."""
    seconds: float
    requests: int
    reason: str = ""
    """Why the search ended."""
    void_steps: int = 0
    """Steps for which the load generator was too late."""


def search_virtually(name: str, seed: int) -> dict[str, Answer]:
    """Return the answers of each method for the queue `name`, from the same first rate.

    The first rates have a random factor. Without it, the rates of all searches would be the same,
    and with them their distances to the limit.
    """
    queue, rng = QUEUES[name], np.random.default_rng(seed)
    first_rate = queue.first_rate * RATE_GROWTH ** rng.uniform(-0.5, 0.5)
    return {
        PRODUCT: _search(queue, first_rate, rng),
        "30 s steps": _search_usually(queue, first_rate, rng),
        "30 s steps, uniform": _search_usually(queue, first_rate, rng, uniform_arrivals),
    }


def _search(queue: Queue, first_rate: float, rng: np.random.Generator) -> Answer:
    """Search with the code of `inference-probe load`."""
    objectives = [queue.objective]
    generator = SimulatedQueue(queue.model, objectives, rng)
    options = SearchOptions(first_rate=first_rate, max_rate=MAX_RATE, max_seconds=MAX_SECONDS)
    result = search(generator, objectives, options)
    return Answer(
        rate=result.confirmed.rate if result.confirmed else None,
        seconds=generator.now(),
        requests=sum(step.evaluation.counts.offered for step in result.steps),
        reason=result.reason.name,
    )


def _search_usually(
    queue: Queue,
    first_rate: float,
    rng: np.random.Generator,
    arrivals: ArrivalModel = poisson_arrivals,
) -> Answer:
    generator = SimulatedQueue(queue.model, [queue.objective], rng, arrivals)
    requests = 0

    def is_met(rate: float) -> bool:
        nonlocal requests
        generator.start(rate)
        generator.measure(USUAL_STEP_SECONDS)
        counts = total(generator.stop().seconds)
        requests += counts.offered
        return counts.bad[0] <= queue.objective.allowed * counts.offered

    rate = search_usually(is_met, first_rate)
    return Answer(rate=rate, seconds=generator.now(), requests=requests)


def search_usually(is_met: Callable[[float], bool], first_rate: float) -> float:
    """Return the highest met rate, with the rates of `inference-probe load`, and one step for each.

    Many tools and guides search like this: the percentile of a short step decides.
    """
    met = missed = None
    rate = first_rate
    while met is None or missed is None or missed / met - 1 > RATE_PRECISION:
        if is_met(rate):
            met = rate
            rate = rate * RATE_GROWTH if missed is None else math.sqrt(met * missed)
        else:
            missed = rate
            rate = rate / RATE_GROWTH if met is None else math.sqrt(met * missed)
    return met
