"""Bounds of bad shares of independent requests."""

import math

import pytest

from probe.statistics.binomial import binomial_sf
from probe.statistics.intervals import (
    ONE_SIDED_NORMAL_QUANTILE,
    exact_bounds,
    min_requests,
    wilson_bounds,
)


@pytest.mark.parametrize(("target", "requests"), [(0.95, 59), (0.99, 299), (0.999, 2995)])
def test_min_requests(target: float, requests: int) -> None:
    """The numbers of good requests that are evidence for usual targets."""
    assert min_requests(target) == requests


def test_wilson_bounds() -> None:
    """At a bound, the observed share is as far away as the normal distribution allows."""
    bounds = wilson_bounds(10, 100)
    for bound in (bounds.lower, bounds.upper):
        deviation = math.sqrt(bound * (1 - bound) / 100)
        assert abs(bound - 0.1) / deviation == pytest.approx(ONE_SIDED_NORMAL_QUANTILE)
    assert bounds.lower < 0.1 < bounds.upper
    assert wilson_bounds(0, 59).lower == 0.0
    assert wilson_bounds(0, 59).upper < 0.05
    assert wilson_bounds(20, 20).upper == 1.0


@pytest.mark.parametrize(("bad", "requests"), [(0, 59), (1, 87), (3, 100), (50, 50)])
def test_exact_bounds(bad: int, requests: int) -> None:
    """At a bound, as many or as few bad requests have a probability of 5 %."""
    bounds = exact_bounds(bad, requests)
    if bad:
        assert binomial_sf(requests, bad, bounds.lower) == pytest.approx(0.05, abs=1e-3)
    if bad < requests:
        assert 1 - binomial_sf(requests, bad + 1, bounds.upper) == pytest.approx(0.05, abs=1e-3)
    assert (bounds.lower == 0.0, bounds.upper == 1.0) == (bad == 0, bad == requests)
