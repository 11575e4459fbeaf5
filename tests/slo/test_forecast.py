"""Predictions at the corners that can be worked out by hand."""

import sys
from math import inf

import pytest

from probe.slo.forecast import AlertTiming
from probe.slo.simulation import expected_tickets, median_time_to_page, median_time_to_ticket

PACE = AlertTiming(budget=0.01, interval=10, timeout=5)


def test_a_total_outage_is_found_by_model_down() -> None:
    """After three minutes for a fast probe, after five failures for a slow one."""
    assert PACE.found(1).page == pytest.approx(180, abs=20)
    slow = AlertTiming(budget=0.01, interval=600, timeout=5, pages=False)
    assert slow.found(1).page == pytest.approx(4 * 600 + 5 + 22.5, abs=1)


def test_what_is_within_the_budget_is_no_alarm() -> None:
    """Nothing is to be found in a model that keeps its objective."""
    assert PACE.found(0.01).page == PACE.found(0.01).ticket == inf


def test_worse_is_found_sooner() -> None:
    """The more are bad, the sooner it is known."""
    pages = [PACE.found(share).page for share in (0.02, 0.05, 0.2, 0.5, 1)]
    assert pages == sorted(pages, reverse=True)


def test_an_objective_that_opens_tickets_pages_for_an_outage_only() -> None:
    """ModelDown does not ask for objectives; whatever else pages does."""
    ticket = AlertTiming(budget=0.01, interval=10, timeout=5, pages=False)
    assert ticket.found(0.5).page == inf
    assert ticket.found(1).page < inf
    assert ticket.false_alarms(0.01).pages < 1e-6


def test_a_tight_objective_of_a_slow_probe_is_noisy_but_does_not_page() -> None:
    """One bad probe of five is 20 %: tickets by the dozen, and hardly ever a page."""
    expected = AlertTiming(budget=0.05, interval=60, timeout=5).false_alarms(0.05)
    assert expected.tickets > 20
    assert expected.pages < 0.1


def test_better_models_have_fewer_false_alarms() -> None:
    """The same rules, five times as good a model."""
    just, better = PACE.false_alarms(0.01), PACE.false_alarms(0.002)
    assert better.tickets < just.tickets / 10
    assert better.pages < just.pages


def test_the_same_config_always_gets_the_same_answer() -> None:
    """Coins are tossed with a fixed seed."""
    again = AlertTiming(budget=0.01, interval=10, timeout=5)
    assert again.false_alarms(0.01) == PACE.false_alarms(0.01)


def test_figures_are_the_same_however_they_came_about() -> None:
    """10 and 10.0 seconds, and budgets that differ in the last bit, are one pace."""
    expected_tickets.cache_clear()
    whole = expected_tickets(10, 0.01, 0.01)
    expected_tickets.cache_clear()
    assert expected_tickets(10.0, 1 - 0.99, 1 - 0.99) == whole


def work(interval: float) -> int:
    """Calls of functions that it takes to predict an objective."""
    calls = 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event.endswith("call")

    for played in (expected_tickets, median_time_to_ticket, median_time_to_page):
        played.cache_clear()
    pace = AlertTiming(budget=0.01, interval=interval, timeout=5)
    sys.setprofile(count)
    try:
        [pace.false_alarms(share) for share in (0.01, 0.002)]
        [pace.found(share) for share in (1, 0.5, 0.05)]
    finally:
        sys.setprofile(None)
    return calls


def test_fast_probes_cost_no_more_to_predict() -> None:
    """A thousand times as many probes are hardly more work: they are tossed by the group."""
    assert work(0.01) < 4 * work(10)


def test_slow_probes_are_found_by_looks_that_come_at_the_right_time() -> None:
    """Two bad probes of ten minutes, of 99.9 %, are evidence enough for the eye of a formula, but
    there must have been some three minutes before: the third pages, two intervals after the first.
    """
    slow = AlertTiming(budget=0.001, interval=600, timeout=5)
    assert slow.found(0.5).page >= 1200
    assert AlertTiming(budget=0.1, interval=86400, timeout=5).found(0.5).page == inf


def test_a_budget_of_a_third_cannot_burn_so_fast() -> None:
    """14.4 times a third is more than everything: such windows say never."""
    pairs = AlertTiming(budget=0.33, interval=10, timeout=5).burn_needs()
    assert [long.bad for _, long in pairs] == [None, None]
