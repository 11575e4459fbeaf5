"""Measurements of the benchmark of hostile responses."""

import time
from collections.abc import Iterator

import pytest

from bench.evaluation import _maximum


def _measurements(*values: float) -> Iterator[float]:
    yield from values
    raise TimeoutError("the scrape failed")


def test_the_maximum_of_all_measurements() -> None:
    """Those until the end of the block."""
    values = iter([1.0, 3.0, *[2.0] * 1000])
    with _maximum(lambda: next(values), 0.001) as maximum:
        time.sleep(0.1)

    assert maximum() == 3.0


def test_a_failed_measurement_is_not_ignored() -> None:
    """It would otherwise end the measurement, and the bound would be met."""
    values = _measurements(0.1)
    with _maximum(lambda: next(values), 0.001) as maximum:
        time.sleep(0.1)

    with pytest.raises(TimeoutError, match="the scrape failed"):
        maximum()
