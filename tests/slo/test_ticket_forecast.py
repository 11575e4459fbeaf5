"""The forecast of tickets and of slow probes' pages, against the simulation of the rules."""

from math import inf

import numpy as np
import pytest

from bench.simulation import simulate, simulate_outages
from probe.slo.forecast import AlertTiming
from probe.slo.ticket_forecast import ProbeStream, expected_tickets, median_time_to_high_latency

# The delay and the timeout that `AlertTiming` adds to the time of the first bad probe.
KNOWN_SECONDS = 5 + 22.5


@pytest.mark.parametrize(
    ("interval", "budget", "budget_share", "months", "factor"),
    [
        (10, 0.01, 1, 6, 1.3),
        (5, 0.05, 1, 1, 1.4),
        (1, 0.001, 1, 3, 1.4),
        (60, 0.05, 1, 6, 1.3),
        (120, 0.1, 1, 4, 1.3),
        (300, 0.001, 1, 12, 1.4),
        (600, 0.01, 1, 10, 1.4),
        (30, 0.1, 0.2, 12, 1.4),
        # Windows hold 4 or 5 probes, of which none or one may be bad.
        (60, 0.2, 1, 2, 2),
        pytest.param(5, 0.01, 0.2, 24, 1.5, marks=pytest.mark.full),
        pytest.param(30, 0.001, 1, 36, 1.3, marks=pytest.mark.full),
        pytest.param(70, 0.05, 1, 24, 1.3, marks=pytest.mark.full),
        pytest.param(3600, 0.5, 1, 48, 1.4, marks=pytest.mark.full),
    ],
)
def test_expected_tickets(
    interval: float, budget: float, budget_share: float, months: int, factor: float
) -> None:
    """The forecast is within `factor` of the simulated number."""
    ratio, random = budget * budget_share, np.random.default_rng(1)
    counts = simulate(
        interval=interval, budget=budget, bad_ratio=ratio, random=random, days=30 * months
    )
    assert counts.tickets > 40
    expected = expected_tickets(ProbeStream(interval, budget, ratio)) * months
    assert counts.tickets / factor <= expected <= counts.tickets * factor


@pytest.mark.parametrize(
    ("interval", "budget", "bad_ratio", "factor"),
    [
        (1, 0.5, 1, 1.1),
        (5, 0.2, 0.5, 1.1),
        (10, 0.01, 0.05, 1.5),
        (30, 0.01, 0.05, 1.5),
        # The first run of bad probes lasts long enough with a probability of about one half, so
        # the median lies between the first and the second run.
        (60, 0.2, 0.5, 2),
        (120, 0.2, 0.5, 2),
        (240, 0.05, 0.5, 1.5),
    ],
)
def test_time_to_high_latency(
    interval: float, budget: float, bad_ratio: float, factor: float
) -> None:
    """The forecast is within `factor` of the simulated median."""
    _, seen = _outages(interval, budget, bad_ratio, 12 * 3600)
    expected = median_time_to_high_latency(ProbeStream(interval, budget, bad_ratio))
    assert seen / factor <= expected <= seen * factor


@pytest.mark.parametrize(
    ("interval", "budget", "bad_ratio"),
    [
        (61, 0.5, 1),
        (90, 0.05, 0.5),
        (120, 0.05, 0.2),
        (240, 0.001, 1),
        (240, 0.001, 0.5),
        (300, 0.05, 0.5),
        (450, 0.001, 1),
        (600, 0.1, 0.5),
        (900, 0.01, 1),
    ],
)
def test_pages_of_slow_probes(interval: float, budget: float, bad_ratio: float) -> None:
    """With few probes in a window, the forecast is within a factor of 1.6 of the median."""
    seen, _ = _outages(interval, budget, bad_ratio, 24 * 3600)
    page = AlertTiming(budget=budget, interval=interval, timeout=5).detection_time(bad_ratio).page
    if bad_ratio == 1:
        # ModelDown may page first.
        assert page <= seen + KNOWN_SECONDS + interval
    else:
        assert seen / 1.6 <= page - KNOWN_SECONDS <= seen * 1.6


def _outages(interval: float, budget: float, bad_ratio: float, seconds: int) -> tuple[float, float]:
    return simulate_outages(
        interval=interval,
        budget=budget,
        bad_ratio=bad_ratio,
        random=np.random.default_rng(1),
        outages=61 if bad_ratio < 1 else 1,
        seconds=seconds,
    )


def test_a_window_without_probes_ends_the_condition() -> None:
    """A probe every 20 minutes cannot raise HighModelLatency: some windows hold no probe."""
    assert median_time_to_high_latency(ProbeStream(1200, 0.01, 1)) == inf


def test_perfect_models_cause_no_tickets() -> None:
    """A model without bad probes has no false tickets."""
    assert expected_tickets(ProbeStream(10, 0.01, 0)) == 0
