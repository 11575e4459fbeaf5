"""The forecast of pages during a lasting brown-out, against the simulation of the rules."""

import time

import numpy as np
import pytest

from bench.simulation import simulate_brown_out
from probe.slo.brown_out_forecast import pages_per_day


@pytest.mark.parametrize(
    ("interval", "budget", "budgets"),
    [
        (10, 0.01, 3),
        (10, 0.01, 2),
        (5, 0.001, 10),
        (30, 0.01, 5),
        (60, 0.01, 5),
        (60, 0.01, 10),
        (10, 0.05, 1.6),
        (60, 0.001, 50),
        pytest.param(1, 0.01, 1.3, marks=pytest.mark.full),
        pytest.param(10, 0.001, 5, marks=pytest.mark.full),
        pytest.param(300, 0.01, 20, marks=pytest.mark.full),
    ],
)
def test_pages_per_day(interval: float, budget: float, budgets: float) -> None:
    """The forecast is within a factor of 1.5 of the simulated number."""
    days = 60
    pages = simulate_brown_out(
        interval=interval,
        budget=budget,
        bad_ratio=budget * budgets,
        random=np.random.default_rng(1),
        days=days,
    )
    assert pages > 40
    expected = pages_per_day(interval, budget, budget * budgets) * days
    assert pages / 1.5 <= expected <= pages * 1.5


def test_few_pages_in_a_brown_out() -> None:
    """With a target of 99 % and a probe every 10 s, 3 % bad requests page at most 3 times a day."""
    assert pages_per_day(10, 0.01, 0.03) <= 3


def test_an_outage_is_one_page() -> None:
    """If most requests are bad, the page does not end."""
    assert pages_per_day(10, 0.01, 0.9) < 1e-6
    assert pages_per_day(10, 0.01, 1) == 0


def test_the_shortest_interval_is_fast() -> None:
    """Millions of probes in a window take less than a second."""
    start = time.process_time()
    assert pages_per_day(0.01, 0.01, 0.0101) >= 0
    assert time.process_time() - start < 1
