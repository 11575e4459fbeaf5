"""Intervals of medians over rounds."""

import pytest

from bench.rounds import median_interval


@pytest.mark.parametrize(
    ("rounds", "interval"), [(1, (1, 1)), (3, (1, 3)), (6, (1, 6)), (9, (2, 8)), (12, (3, 10))]
)
def test_the_interval_of_the_median(rounds: int, interval: tuple[int, int]) -> None:
    """The ranks are those of the sign test, also if the values are in another order."""
    assert median_interval(range(rounds, 0, -1)) == interval
