"""The simulated queue, compared with formulas of queueing theory, and a search for its limit."""

from itertools import islice

import numpy as np
import pytest

from bench.load_queues import (
    slow_share_with_constant_times,
    slow_share_with_exponential_times,
)
from probe.demo.batch_queue import BatchQueue, BatchSettings
from probe.load.measurement import Counts, total
from probe.load.objective import LoadObjective
from probe.load.search import SearchOptions
from probe.load.stop import StopReason
from probe.result import Component, Phase
from tests.load.simulated_queue import (
    QueueModel,
    SimulatedQueue,
    batches,
    constant,
    exponential,
    poisson_arrivals,
    search,
    servers,
)

SECONDS = 2000
THRESHOLD_SECONDS = 0.4
OBJECTIVES = [
    LoadObjective(target=0.95, threshold_seconds=THRESHOLD_SECONDS),
    LoadObjective.error_limit(0.001),
]


def _queue(model: QueueModel) -> SimulatedQueue:
    return SimulatedQueue(model, OBJECTIVES, np.random.default_rng(1))


def _measure(queue: SimulatedQueue, rate: float) -> Counts:
    queue.start(rate)
    queue.measure(SECONDS)
    return total(queue.stop().seconds)


@pytest.mark.parametrize("rate", [20.0, 29.0, 35.0])
def test_latencies_of_a_queue_with_four_servers(rate: float) -> None:
    """The share of slow requests is that of the formula, and Little's law holds."""
    counts = _measure(_queue(servers(4, exponential(0.1))), rate)
    assert counts.bad[0] / counts.events[0] == pytest.approx(
        slow_share_with_exponential_times(4, 0.1, rate, THRESHOLD_SECONDS), rel=0.15
    )
    assert counts.bad[1] == 0
    assert counts.offered == counts.completed == pytest.approx(rate * SECONDS, rel=0.02)
    assert counts.in_flight_seconds == pytest.approx(counts.latency_seconds, rel=0.001)
    slowest_good = counts.latencies.at_rank(counts.offered - counts.bad[0])
    assert slowest_good == pytest.approx(THRESHOLD_SECONDS, rel=0.02)


def test_waiting_times_of_constant_service_times() -> None:
    """The mean time in the queue is that of the formula of Pollaczek and Khinchine."""
    counts = _measure(_queue(servers(1, constant(0.01))), 70.0)
    means = {part: seconds / counts.completed for part, seconds in counts.components.items()}
    assert means[Component.COMPUTE] == pytest.approx(0.01)
    assert means[Component.QUEUE] == pytest.approx(0.01 * 0.7 / (2 * 0.3), rel=0.05)
    assert counts.phases[Phase.WAIT] == pytest.approx(sum(counts.components.values()))


def test_latencies_of_constant_service_times() -> None:
    """The share of requests that take longer than four service times is that of the formula."""
    objective = LoadObjective(target=0.95, threshold_seconds=0.04)
    model = servers(1, constant(0.01))
    counts = _measure(SimulatedQueue(model, [objective], np.random.default_rng(1)), 61.7)
    assert counts.bad[0] / counts.events[0] == pytest.approx(
        slow_share_with_constant_times(0.01, 61.7, 0.04), rel=0.1
    )


@pytest.mark.parametrize("rate", [5.0, 60.0, 150.0, 190.0, 230.0])
@pytest.mark.parametrize("size", [1, 3, 8])
def test_batches_are_those_of_the_demo(rate: float, size: int) -> None:
    settings = BatchSettings(max_batch_size=size)
    (times,) = islice(poisson_arrivals(rate, np.random.default_rng(1)), 1)
    due, starts, ends = next(batches(settings)([times], np.random.default_rng(1)))
    expected, queue = [], BatchQueue[None](settings)
    for time in times:
        queue.add(None, time)
        for batch in queue.advance(time):
            expected += [(arrival.at, batch.started, batch.ended) for arrival in batch.arrivals]
    assert len(due) > 0.8 * len(times)
    found = list(zip(due, starts, ends, strict=True))
    length = min(len(found), len(expected))
    assert length > 30
    assert np.array(found[:length]) == pytest.approx(np.array(expected[:length]))


def test_overload() -> None:
    """Requests in flight have no result. After the time of the threshold they are bad."""
    queue = _queue(servers(1, constant(0.1)))
    queue.start(30.0)
    measurement = queue.measure(20.5)
    counts = total(measurement.seconds)
    assert measurement.complete_until == pytest.approx(20.1)
    assert len(measurement.seconds) == 20
    assert counts.completed == pytest.approx(200, abs=10)
    assert counts.offered == pytest.approx(600, abs=80)
    assert counts.bad[0] > 0.9 * counts.offered
    assert measurement.in_flight > 0.5 * counts.offered
    counts = total(queue.stop().seconds)
    assert counts.completed == counts.offered
    assert queue.now() == pytest.approx(0.1 * counts.offered, rel=0.1)


def test_search() -> None:
    """A search finds the limit of a queue, 29.4/s for four servers, with a margin."""
    queue = _queue(servers(4, exponential(0.1)))
    result = search(queue, OBJECTIVES, SearchOptions(first_rate=5, max_rate=1000, max_seconds=1200))
    assert result.reason is StopReason.CONFIRMED
    assert result.confirmed
    assert 24 < result.confirmed.rate < 29.5
    assert 240 < queue.now() < 1200
