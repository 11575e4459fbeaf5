"""Bounds of the benchmark of the load generator, and its bare timer."""

from collections.abc import Sequence

import pytest

from bench.load_generator import BareTimer, Round, _is_met, quantile
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


@pytest.mark.timing
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_bare_timer_records_its_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has one delay for each due time after the warm-up."""
    monkeypatch.setattr("bench.load_generator.WARM_UP_SECONDS", 0)
    with BareTimer(200.0, 0, 1) as timer:
        timer.start(0.5)
        lags = timer.lags()

    assert 60 < lags.count < 140
    assert quantile(lags, 0.5) < 0.05
