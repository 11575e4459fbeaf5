"""Confidence intervals, budgets and statuses of objectives."""

import random

import pytest

from probe.report.attainment import (
    Status,
    attainment_interval,
    error_budget,
    status,
    worst_hours,
)
from probe.report.objective_counts import Events
from probe.report.wording import format_percentage
from probe.statistics.intervals import wilson_bounds

HOUR = 3600.0


def hours(bad: list[int], per_hour: int = 100) -> dict[float, Events]:
    return {
        number * HOUR: Events(good=per_hour - count, bad=count) for number, count in enumerate(bad)
    }


def test_interval_of_independent_events() -> None:
    """Without correlation the interval is about Wilson's, and its events are about all events."""
    generator = random.Random(1)
    bad = [sum(generator.random() < 0.01 for _ in range(100)) for _ in range(720)]
    interval = attainment_interval(hours(bad))
    assert interval
    assert interval.effective_events > 72_000 / 2
    assert interval.bounds.lower < 0.99 < interval.bounds.upper
    assert interval.bounds.upper - interval.bounds.lower < 0.003


def test_interval_of_an_outage() -> None:
    """One outage is one event that may happen again, so the interval is much wider."""
    bad = [0] * 720
    bad[100:107] = [100] * 7
    interval = attainment_interval(hours(bad))
    assert interval
    assert interval.effective_events < 72_000 / 100
    assert interval.bounds.lower < 0.96
    assert interval.bounds.upper > 0.995


@pytest.mark.parametrize(("count", "quantile"), [(2, 12.706), (5, 2.776), (6, 2.571), (9, 2.306)])
def test_interval_of_few_hours(count: int, quantile: float) -> None:
    """The interval of a few hours has the quantile of Student's t distribution for them."""
    bad = [100 if number % 2 else 0 for number in range(count)]
    interval = attainment_interval(hours(bad, per_hour=1000))
    assert interval
    events = count * 1000
    share = sum(bad) / events
    expected = wilson_bounds(
        share * interval.effective_events, interval.effective_events, normal_quantile=quantile
    )
    assert interval.bounds.lower == pytest.approx(1 - expected.upper, rel=5e-3)
    assert interval.bounds.upper == pytest.approx(1 - expected.lower, rel=5e-3)


def test_interval_covers_the_truth() -> None:
    """Of models with random outages, 93 % of the intervals contain the true attainment."""
    generator, covered = random.Random(0), 0
    for _ in range(400):
        # Half of the days have an outage of an hour: a share of 1/48 is bad.
        bad = [0] * 720
        for day in range(30):
            if generator.random() < 0.5:
                bad[day * 24 + generator.randrange(24)] = 100
        interval = attainment_interval(hours(bad))
        assert interval
        covered += interval.bounds.lower <= 1 - 1 / 48 <= interval.bounds.upper
    assert covered >= 0.93 * 400


def test_interval_without_bad_events() -> None:
    """The interval begins below 100 %, because the events are finite."""
    interval = attainment_interval(hours([0] * 30))
    assert interval
    assert interval.bounds.upper == 1.0
    assert 0.998 < interval.bounds.lower < 1.0
    assert attainment_interval({}) is None


def test_budget() -> None:
    """Budgets are in events and in minutes of the measured time."""
    budget = error_budget(Events(good=9_970, bad=30), 0.99, 30 * 86400.0)
    assert (budget.allowed, budget.used, budget.left) == (100, 30, 70)
    assert (budget.minutes_allowed, budget.minutes_left) == pytest.approx((432, 302.4))
    assert budget.ratio_left == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("good", "bad", "expected", "unknown", "wanted"),
    [
        (9_900, 100, 10_000, 0, Status.MET),
        (9_899, 101, 10_000, 0, Status.MISSED),
        (0, 0, 10_000, 10_000, Status.NOT_ENOUGH_DATA),
        # Too few for this target, unless chance does not explain the bad ones.
        (298, 0, 298, 0, Status.NOT_ENOUGH_DATA),
        (0, 10, 10, 0, Status.MISSED),
        (20, 1, 21, 0, Status.NOT_ENOUGH_DATA),
        # A tenth of the time is unmeasured.
        (8_990, 0, 10_000, 1_010, Status.NOT_ENOUGH_DATA),
        (5_000, 60, 10_000, 4_940, Status.NOT_ENOUGH_DATA),
        # Missed, whatever happened in the unmeasured time.
        (4_000, 150, 10_000, 5_850, Status.MISSED),
    ],
)
def test_status(good: int, bad: int, expected: float, unknown: float, wanted: Status) -> None:
    """Unmeasured time is neither good nor bad."""
    verdict = status(Events(good=good, bad=bad), 0.99, expected=expected, unknown=unknown)
    assert verdict.status is wanted
    assert (verdict.reason is not None) is (wanted is Status.NOT_ENOUGH_DATA)


def test_worst_hours() -> None:
    """The hours with most bad events come first, and good hours are not listed."""
    found = worst_hours(hours([0, 5, 0, 9, 5]), 2)
    assert [(start, events.bad) for start, events in found] == [(3 * HOUR, 9), (HOUR, 5)]
    assert len(worst_hours(hours([0, 5, 0, 9, 5]), 9)) == 3


@pytest.mark.parametrize(
    ("ratio", "target", "text"),
    [
        (0.98999, 0.99, "98.99 %"),
        (0.9989999, 0.999, "99.899 %"),
        (0.99949, 0.9995, "99.949 %"),
        (1.0, 0.99, "100.00 %"),
        (0.999, 0.999, "99.900 %"),
    ],
)
def test_percentage(ratio: float, target: float, text: str) -> None:
    """A percentage is rounded down, with enough digits to compare it with the target."""
    assert format_percentage(ratio, target=target) == text
