"""Forecasts in corner cases that can be calculated by hand."""

import sys
from math import inf

import pytest

from probe.slo.brown_out_forecast import pages_per_day
from probe.slo.forecast import AlertTiming
from probe.slo.ticket_forecast import expected_tickets, median_time_to_high_latency

TIMING = AlertTiming(budget=0.01, interval=10, timeout=5)


def test_model_down_detects_a_total_outage() -> None:
    """ModelDown fires after three minutes for a fast probe, after five failures for a slow one."""
    assert TIMING.detection_time(1).page == pytest.approx(180, abs=20)
    slow = AlertTiming(budget=0.01, interval=600, timeout=5, pages=False)
    assert slow.detection_time(1).page == pytest.approx(4 * 600 + 5 + 22.5, abs=1)


def test_no_alert_within_the_budget() -> None:
    """A model that keeps its objective is not detected."""
    assert TIMING.detection_time(0.01).page == TIMING.detection_time(0.01).ticket == inf


def test_worse_is_detected_sooner() -> None:
    """The higher the bad ratio, the earlier the page."""
    pages = [TIMING.detection_time(ratio).page for ratio in (0.02, 0.05, 0.2, 0.5, 1)]
    assert pages == sorted(pages, reverse=True)


def test_an_objective_that_opens_tickets_pages_for_an_outage_only() -> None:
    """ModelDown pages for every probe, the other alerts only if the objective asks for pages."""
    ticket = AlertTiming(budget=0.01, interval=10, timeout=5, pages=False)
    assert ticket.detection_time(0.5).page == inf
    assert ticket.detection_time(1).page < inf
    assert ticket.false_alarms(0.01).pages < 1e-6


def test_a_tight_objective_of_a_slow_probe_is_noisy_but_does_not_page() -> None:
    """One bad probe of five is 20 %: many tickets, and hardly ever a page."""
    expected = AlertTiming(budget=0.05, interval=60, timeout=5).false_alarms(0.05)
    assert expected.tickets > 20
    assert expected.pages < 0.1


def test_better_models_have_fewer_false_alarms() -> None:
    """A fifth of the bad ratio has less than a tenth of the tickets."""
    just, better = TIMING.false_alarms(0.01), TIMING.false_alarms(0.002)
    assert better.tickets < just.tickets / 10
    assert better.pages < just.pages


def test_equal_values_have_equal_forecasts() -> None:
    """10 and 10.0 seconds, and budgets that differ in the last bit, have the same forecast."""
    other = AlertTiming(budget=1 - 0.99, interval=10.0, timeout=5)
    assert other.budget != TIMING.budget
    one, two = other.false_alarms(1 - 0.99), TIMING.false_alarms(0.01)
    assert (one.pages, one.tickets) == pytest.approx((two.pages, two.tickets))
    for ratio in (1, 0.5, 0.05):
        one_time, two_time = other.detection_time(ratio), TIMING.detection_time(ratio)
        assert (one_time.page, one_time.ticket) == pytest.approx((two_time.page, two_time.ticket))


def work(interval: float) -> int:
    """Return the number of calls that the forecast for one objective takes."""
    calls = 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event.endswith("call")

    timing = AlertTiming(budget=0.01, interval=interval, timeout=5)
    for cached in (expected_tickets, median_time_to_high_latency, pages_per_day):
        cached.cache_clear()
    sys.setprofile(count)
    try:
        for ratio in (0.01, 0.002):
            timing.false_alarms(ratio)
        for ratio in (1, 0.5, 0.05):
            timing.detection_time(ratio)
        timing.brown_out()
    finally:
        sys.setprofile(None)
    return calls


def test_fast_probes_cost_no_more_to_forecast() -> None:
    """A thousand times as many probes are hardly more work."""
    assert work(0.01) < 4 * work(10)


def test_slow_probes_need_earlier_evidence() -> None:
    """With 99.9% and 10 minutes, two bad probes in a row are enough evidence. But there must have
    been some three minutes before, and a window holds two probes only if none is missing.
    """
    slow = AlertTiming(budget=0.001, interval=600, timeout=5)
    assert slow.detection_time(0.5).page >= 1200
    assert AlertTiming(budget=0.1, interval=86400, timeout=5).detection_time(0.5).page == inf


def test_a_large_budget_cannot_burn_fast() -> None:
    """14.4 times a budget of a third is more than 100 %: such windows never page."""
    pairs = AlertTiming(budget=0.33, interval=10, timeout=5).burn_page_thresholds()
    assert [long.bad for _, long in pairs] == [None, None]
