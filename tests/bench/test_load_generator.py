"""Bounds of the benchmark of the load generator."""

from collections.abc import Sequence

import pytest

from bench.load_generator import Round, _is_met
from probe.load.measurement import Counts, LatencyHistogram


def _lags(seconds: Sequence[float]) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for value in seconds:
        histogram.observe(value)
    return histogram


def _round(lag_seconds: float, bare_lag_seconds: float) -> Round:
    return Round(
        rate=1000.0,
        counts=Counts(lags=_lags([lag_seconds])),
        bare_lags=_lags([bare_lag_seconds]),
        cpu_seconds=0.001,
        gc_pause_seconds=0.0,
    )


@pytest.mark.parametrize(
    ("lag_ms", "bare_lag_ms", "is_met"),
    [(1.9, 0.1, True), (2.1, 0.1, False), (9.0, 5.0, True), (11.0, 5.0, False)],
)
def test_either_bound_is_sufficient(lag_ms: float, bare_lag_ms: float, is_met: bool) -> None:
    """A small delay is good on an idle machine, a small ratio on a busy one."""
    assert _round(lag_ms / 1000, bare_lag_ms / 1000).is_met is is_met


def test_most_rounds_decide() -> None:
    """One round with a disturbance does not miss the bound."""
    good, bad = _round(0.001, 0.001), _round(0.1, 0.001)
    assert _is_met([good, bad, good])
    assert not _is_met([good, bad])
