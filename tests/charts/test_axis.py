"""Axes of charts: scale, ticks and coordinates."""

from itertools import pairwise

import pytest

from probe.charts.axis import MAX_TICKS, Axis


@pytest.mark.parametrize(
    ("values", "is_logarithmic", "ticks"),
    [
        ([50, 200], False, [50, 75, 100, 125, 150, 175, 200]),
        ([26.6, 28.0], False, [26.6, 26.8, 27, 27.2, 27.4, 27.6, 27.8, 28]),
        ([0.3, 0.7], False, [0.3, 0.4, 0.5, 0.6, 0.7]),
        ([5, 40], True, [5, 10, 20]),
        ([0.001, 100], True, [0.001, 0.01, 0.1, 1, 10, 100]),
        ([7], False, [5.5, 6, 6.5, 7, 7.5, 8, 8.5]),
    ],
)
def test_ticks(values: list[float], is_logarithmic: bool, ticks: list[float]) -> None:
    """Ticks are round values, on a logarithmic scale if the values have a large ratio."""
    axis = Axis.of(values, 0, 100)
    assert axis.is_logarithmic == is_logarithmic
    assert axis.ticks() == ticks


@pytest.mark.parametrize("ratio", [1.0001, 1.01, 1.7, 5.9, 6.1, 11, 99, 1e3, 1e6, 1e12])
@pytest.mark.parametrize("low", [0.00013, 0.9, 7.3, 2400])
def test_number_of_ticks(low: float, ratio: float) -> None:
    """Each axis has at least two ticks, and so few that their labels do not overlap."""
    axis = Axis.of([low, low * ratio], 62, 628)
    positions = [axis.at(tick) for tick in axis.ticks()]
    assert 2 <= len(positions) <= MAX_TICKS + 1
    assert positions == sorted(positions)
    gaps = [right - left for left, right in pairwise(positions)]
    assert min(gaps) > 35


def test_coordinates() -> None:
    """Values are between the ends of the axis, in the order of their size."""
    axis = Axis.of([5, 40], 300, 0)
    assert 300 > axis.at(5) > axis.at(10) > axis.at(40) > 0
    assert axis.at(10) - axis.at(20) == pytest.approx(axis.at(20) - axis.at(40))
    assert axis.at(1e9) == 0
    assert axis.at(0) == 300


def test_axis_from_zero() -> None:
    """An axis of times begins at 0."""
    axis = Axis.from_zero(0.15, 300, 0)
    assert axis.at(0) == 300
    assert axis.at(0.15) > 0
    assert axis.ticks()[:3] == [0, 0.02, 0.04]
