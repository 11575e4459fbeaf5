"""Formulas of capacity planning, compared with a simulation."""

import random
from collections.abc import Iterable
from fractions import Fraction

import pytest

from probe.load.sizing import BatchPlan, plan_batch, plan_batches, size_instances

MS = Fraction(1, 1000)
REQUESTS = 20_000


def _instances(rate: int, *, headroom: int = 20) -> int:
    return size_instances(
        service_seconds=12 * MS,
        concurrency=2,
        utilization=Fraction(70, 100),
        rate=Fraction(rate),
        headroom=Fraction(headroom, 100),
    ).instances


@pytest.mark.parametrize(("rate", "instances"), [(600, 7), (660, 8), (1, 1)])
def test_instances(rate: int, instances: int) -> None:
    """Two requests of 12 ms at a time and 70 % utilization are 116.7 requests per second."""
    assert _instances(rate) == instances


def test_a_whole_number_of_instances_is_not_rounded_up() -> None:
    """Three instances at 116.67/s serve exactly 350/s. Floats would need a fourth."""
    assert _instances(350, headroom=0) == 3
    assert _instances(351, headroom=0) == 4


def test_utilization_of_the_instances() -> None:
    """Seven instances that serve 116.7/s each use 73 % of it at 600/s."""
    demand = size_instances(
        service_seconds=12 * MS,
        concurrency=2,
        utilization=Fraction(70, 100),
        rate=Fraction(600),
        headroom=Fraction(20, 100),
    )
    assert float(demand.instance_capacity) == pytest.approx(116.67, abs=0.01)
    assert float(demand.utilization) == pytest.approx(600 / 816.67, abs=1e-4)


def _plans(rate: int, *, slo: int = 120) -> list[BatchPlan]:
    return list(
        plan_batches(
            overhead_seconds=6 * MS, item_seconds=4 * MS, rate=Fraction(rate), slo_seconds=slo * MS
        )
    )


def test_batches() -> None:
    """Larger batches have more capacity, until the first one that is too slow."""
    plans = _plans(200)
    assert [plan.size for plan in plans] == [1, 2, 4, 8, 16]
    assert [plan.is_saturated for plan in plans] == [True, True, True, False, False]
    eight, sixteen = plans[-2:]
    assert (eight.wait_seconds, eight.service_seconds) == (35 * MS, 38 * MS)
    assert eight.min_p95_seconds == 73 * MS
    assert sixteen.min_p95_seconds == 145 * MS
    assert float(sixteen.capacity) == pytest.approx(228.57, abs=0.01)


def test_a_capacity_equal_to_the_rate_is_saturated() -> None:
    """The unbatched model serves 100/s; at this rate its queue grows without limit."""
    assert _plans(100)[0].is_saturated
    assert not _plans(99)[0].is_saturated


def test_the_table_ends() -> None:
    """No batch is larger than 1,024 requests, also for an objective of an hour."""
    assert _plans(200, slo=3_600_000)[-1].size == 1024


def _p95(arrivals: Iterable[float], plan: BatchPlan) -> float:
    """Return the 95th percentile of the latency (s) of a simulated server with these batches."""
    latencies, free, batch = [], 0.0, list[float]()
    for arrival in arrivals:
        batch.append(arrival)
        if len(batch) == plan.size:
            free = max(free, arrival) + float(plan.service_seconds)
            latencies += [free - start for start in batch]
            batch.clear()
    return sorted(latencies)[int(0.95 * len(latencies))]


@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_lower_bound_of_the_percentile(size: int) -> None:
    """Simulated requests that arrive evenly reach the bound, and random arrivals exceed it."""
    rate = 150
    plan = plan_batch(size, overhead_seconds=6 * MS, item_seconds=4 * MS, rate=Fraction(rate))
    even = [n / rate for n in range(REQUESTS)]
    assert _p95(even, plan) == pytest.approx(float(plan.min_p95_seconds), abs=1 / rate + 1e-9)
    source = random.Random(size)
    now, uneven = 0.0, []
    for _ in range(REQUESTS):
        now += source.expovariate(rate)
        uneven.append(now)
    assert _p95(uneven, plan) > float(plan.min_p95_seconds)
