"""Formatting of numbers and times on the pages."""

import pytest

from probe.server import formatting


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (1.0, "100 %"),
        (0.996, "99 %"),
        (0.29, "29 %"),
        (0.0, "0 %"),
        (-0.0001, "−1 %"),
        (-0.99, "−99 %"),
        (-1.0, "spent 2.0×"),
        (-4.65, "spent 5.7×"),
        (-8.96, "spent 10×"),
        (-99.0, "spent 100×"),
        (-999.0, "spent 1,000×"),
        (-123455.0, "spent 123,456×"),
    ],
)
def test_error_budget(left: float, text: str) -> None:
    """A budget overspent by little is negative; one overspent by much is a multiple."""
    assert formatting.format_budget(left) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "250 ms"),
        (2.5, "2.5 s"),
        (59.0, "59 s"),
        (60.0, "1 min"),
        (90.5, "90.5 s"),
        (21600.0, "6 h"),
        (86400.0, "1 d"),
        (1234567.0, "14 d 6 h 56 min 7 s"),
        (1234567.5, "1234567.5 s"),
    ],
)
def test_threshold(seconds: float, text: str) -> None:
    """A duration of the config is exact; from a minute on it has several units."""
    assert formatting.format_threshold(seconds) == text
