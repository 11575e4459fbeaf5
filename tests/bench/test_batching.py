"""The comparison of models with and without batches."""

import random
from statistics import fmean
from typing import Any

import pytest

from bench.batching_load import LoadStep
from bench.batching_prediction import (
    SimulatedP95,
    predicted_plan,
    simulate_latencies,
    simulate_p95,
)
from bench.batching_report import Comparison, render_comparisons
from probe.demo.batch_queue import BatchSettings

UNBATCHED = BatchSettings(max_batch_size=1)


@pytest.mark.parametrize(
    ("settings", "rate", "size"),
    [
        (UNBATCHED, 50, 1),
        (UNBATCHED, 200, 1),
        (BatchSettings(), 50, 2),
        (BatchSettings(), 150, 4),
        (BatchSettings(), 200, 7),  # 5 arrive within 20 ms, but 5 and 6 are saturated
        (BatchSettings(), 300, 8),
        (BatchSettings(max_wait_seconds=0), 50, 1),
        (BatchSettings(max_wait_seconds=0), 100, 2),
    ],
)
def test_predicted_plan(settings: BatchSettings, rate: int, size: int) -> None:
    """The batch is that of the maximum wait, or the smallest one that is not saturated."""
    assert predicted_plan(settings, rate).size == size


def test_mean_of_simulation() -> None:
    """Without batches the model is the queue M/D/1, whose mean latency is known.

    It is s + s u / (2 (1 - u)) for the service time s and the utilization u.
    """
    latencies = simulate_latencies(UNBATCHED, 50, seconds=600, rng=random.Random(1))
    assert fmean(latencies) == pytest.approx(0.015, rel=0.03)


def test_percentile_of_simulation() -> None:
    """The 95th percentile is above the formula, and varies little far from saturation."""
    p95 = simulate_p95(BatchSettings(), 100, seconds=30, runs=10)
    assert predicted_plan(BatchSettings(), 100).min_p95_seconds < p95.low
    assert 0.046 <= p95.low <= p95.median <= p95.high <= 0.050


def step(rate: int, **keys: Any) -> LoadStep:
    """Return a step of a load test, from its JSON with `keys`."""
    figures = {"seconds": 35, "throughput": 99.2, "p95": 0.0484, "verdict": "met"}
    server = {"queue": 0.0135, "compute": 0.022}
    return LoadStep.of({"rate": rate, **figures, "server": server, **keys}, 30)


def test_table() -> None:
    """A row has the formula, the simulation, and the measured figures."""
    settings = BatchSettings()
    row = Comparison(
        settings=settings,
        step=step(100),
        plan=predicted_plan(settings, 100),
        simulated=SimulatedP95(low=0.046, median=0.048, high=0.050),
    )
    line = render_comparisons([row], "Head.").splitlines()[-1]
    assert [cell.strip() for cell in line.strip("|").split("|")] == [
        "8, 20ms",
        "100/s",
        "38 ms",
        "48 ms (46 to 50)",
        "48 ms",
        "14 ms",
        "4.0 (50%)",
        "99/s",
        "211/s",
    ]


def test_table_of_a_saturated_model() -> None:
    """A queue that grows has no percentile. Unknown figures are empty."""
    row = Comparison(
        settings=UNBATCHED,
        step=step(150, p95=None, seconds=8, server={}, throughput=100),
        plan=predicted_plan(UNBATCHED, 150),
        simulated=SimulatedP95(low=15, median=16, high=17),
    )
    line = render_comparisons([row], "Head.").splitlines()[-1]
    assert [cell.strip() for cell in line.strip("|").split("|")] == [
        *("1", "150/s", "saturated", "grows", "grows", "grows", "-", "-", "100/s")
    ]


def test_void_step() -> None:
    """A step in which the load generator was too late has no measured figures."""
    row = Comparison(
        settings=UNBATCHED,
        step=step(50, verdict="void"),
        plan=predicted_plan(UNBATCHED, 50),
        simulated=SimulatedP95(low=0.027, median=0.030, high=0.034),
    )
    line = render_comparisons([row], "Head.").splitlines()[-1]
    assert [cell.strip() for cell in line.strip("|").split("|")] == ["1", "50/s", "10 ms"] + [
        "void"
    ] * 6
