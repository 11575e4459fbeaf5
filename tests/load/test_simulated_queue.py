"""The simulated queue, compared with formulas of queueing theory, and a search for its limit."""

import math
import random

import pytest

from probe.load.measurement import Counts, total
from probe.load.objective import LoadObjective
from probe.load.search import SearchOptions
from probe.load.stop import StopReason
from probe.result import Component, Phase
from tests.load.simulated_queue import ServiceTime, SimulatedQueue, constant, exponential, search

SECONDS = 2000
THRESHOLD_SECONDS = 0.4
OBJECTIVES = [
    LoadObjective(target=0.95, threshold_seconds=THRESHOLD_SECONDS),
    LoadObjective.error_limit(0.001),
]


def _queue(servers: int, service_time: ServiceTime) -> SimulatedQueue:
    return SimulatedQueue(servers, service_time, OBJECTIVES, random.Random(1))


def _measure(queue: SimulatedQueue, rate: float) -> Counts:
    queue.start(rate)
    queue.measure(SECONDS)
    return total(queue.stop().seconds)


def _slow_share(servers: int, service_rate: float, rate: float, seconds: float) -> float:
    """Return the share of requests that take longer than `seconds` in the queue M/M/c (Erlang)."""
    load = rate / service_rate
    inverse_loss = 1.0
    for number in range(1, servers + 1):
        inverse_loss = 1 + inverse_loss * number / load
    waiting_share = 1 / (inverse_loss * (1 - load / servers) + load / servers)
    free_rate = servers * service_rate - rate
    served_late = math.exp(-service_rate * seconds)
    waited_long = math.exp(-free_rate * seconds) - served_late
    return served_late + waiting_share * service_rate / (service_rate - free_rate) * waited_long


@pytest.mark.parametrize("rate", [20.0, 29.0, 35.0])
def test_latencies_of_a_queue_with_four_servers(rate: float) -> None:
    """The share of slow requests is that of the formula, and Little's law holds."""
    counts = _measure(_queue(4, exponential(0.1)), rate)
    assert counts.bad[0] / counts.events[0] == pytest.approx(
        _slow_share(4, 10, rate, THRESHOLD_SECONDS), rel=0.15
    )
    assert counts.bad[1] == 0
    assert counts.offered == counts.completed == pytest.approx(rate * SECONDS, rel=0.02)
    assert counts.in_flight_seconds == pytest.approx(counts.latency_seconds, rel=0.001)
    slowest_good = counts.latencies.at_rank(counts.offered - counts.bad[0])
    assert slowest_good == pytest.approx(THRESHOLD_SECONDS, rel=0.02)


def test_waiting_times_of_constant_service_times() -> None:
    """The mean time in the queue is that of the formula of Pollaczek and Khinchine."""
    counts = _measure(_queue(1, constant(0.01)), 70.0)
    means = {part: seconds / counts.completed for part, seconds in counts.components.items()}
    assert means[Component.COMPUTE] == pytest.approx(0.01)
    assert means[Component.QUEUE] == pytest.approx(0.01 * 0.7 / (2 * 0.3), rel=0.05)
    assert counts.phases[Phase.WAIT] == pytest.approx(sum(counts.components.values()))


def test_overload() -> None:
    """Requests in flight have no result. After the time of the threshold they are bad."""
    queue = _queue(1, constant(0.1))
    queue.start(30.0)
    measurement = queue.measure(20.5)
    counts = total(measurement.seconds)
    assert measurement.judged_until == pytest.approx(20.1)
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
    queue = _queue(4, exponential(0.1))
    result = search(queue, OBJECTIVES, SearchOptions(first_rate=5, max_rate=1000, max_seconds=1200))
    assert result.reason is StopReason.CONFIRMED
    assert result.confirmed
    assert 24 < result.confirmed.rate < 29.5
    assert 240 < queue.now() < 1200
