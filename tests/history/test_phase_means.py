"""Means of the phases of a probe, compared with earlier days."""

import pytest

from probe.clock import DAY_SECONDS, HOUR_SECONDS
from probe.history.phase_comparison import PhaseComparison
from probe.history.phase_means import MAX_HOURS, PhaseMeans
from probe.result import Phase

START = 20_000 * DAY_SECONDS + 10 * HOUR_SECONDS  # a full hour


def add(means: PhaseMeans, now: float, wait: float, *, count: int = 10) -> None:
    """Record `count` successes in the hour of `now`."""
    for _ in range(count):
        means.record({Phase.CONNECT: 0.001, Phase.WAIT: wait}, now)


def compare(means: PhaseMeans, now: float, phase: Phase = Phase.WAIT) -> PhaseComparison | None:
    return next((item for item in means.comparisons(now) if item.phase is phase), None)


def test_usual_value() -> None:
    """It is the median of the same hour on the previous three days."""
    means = PhaseMeans()
    for day, wait in enumerate((0.1, 0.5, 0.2, 0.9)):
        add(means, START + day * DAY_SECONDS, wait)
        add(means, START + day * DAY_SECONDS + HOUR_SECONDS, 3.0)  # another hour does not count
    comparison = compare(means, START + 3 * DAY_SECONDS + HOUR_SECONDS)
    assert comparison
    assert comparison.recent == pytest.approx(3.0)
    comparison = compare(means, START + 4 * DAY_SECONDS)
    assert comparison is None  # no result yet, and none in the hour before
    add(means, START + 4 * DAY_SECONDS, 0.4)
    comparison = compare(means, START + 4 * DAY_SECONDS)
    assert comparison
    assert comparison.recent == pytest.approx(0.4)
    assert comparison.usual == pytest.approx(0.5, rel=1e-3)
    assert comparison.four_weeks_ago is None


def test_first_day() -> None:
    """Without an earlier day there is no usual value."""
    means = PhaseMeans()
    add(means, START, 0.1)
    comparison = compare(means, START)
    assert comparison
    assert comparison.recent == pytest.approx(0.1)
    assert (comparison.usual, comparison.four_weeks_ago) == (None, None)


@pytest.mark.parametrize(("count", "recent"), [(9, 0.1), (10, 0.3)])
def test_few_results(count: int, recent: float) -> None:
    """While the current hour has fewer than ten results, the last one is compared."""
    means = PhaseMeans()
    add(means, START - DAY_SECONDS, 0.05)
    add(means, START, 0.1)
    add(means, START + HOUR_SECONDS, 0.3, count=count)
    comparison = compare(means, START + HOUR_SECONDS)
    assert comparison
    assert comparison.recent == pytest.approx(recent, rel=1e-3)
    # Only the last hour has one on the day before.
    assert (comparison.usual is None) is (count == 10)


def test_an_hour_with_few_results_is_no_reference() -> None:
    """One slow request of a restart is not the usual value."""
    means = PhaseMeans()
    add(means, START, 5.0, count=9)
    add(means, START + DAY_SECONDS, 0.1)
    comparison = compare(means, START + DAY_SECONDS)
    assert comparison
    assert comparison.usual is None


def test_four_weeks() -> None:
    """The same hour of four weeks ago is known, and older ones are dropped."""
    means = PhaseMeans()
    for hour in range(0, 30 * 24, 24):
        add(means, START + hour * HOUR_SECONDS, 0.1 + hour / 1000)
    now = START + 29 * DAY_SECONDS
    comparison = compare(means, now)
    assert comparison
    assert comparison.four_weeks_ago == pytest.approx(0.1 + 24 / 1000, rel=1e-3)
    assert max(map(len, means._means.values())) == MAX_HOURS


def test_long_pause() -> None:
    """After a pause of two months there is nothing to compare with."""
    means = PhaseMeans()
    add(means, START, 0.1)
    later = START + 61 * DAY_SECONDS
    assert means.comparisons(later) == ()
    add(means, later, 0.2)
    comparison = compare(means, later)
    assert comparison
    assert (comparison.usual, comparison.four_weeks_ago) == (None, None)


@pytest.mark.parametrize("seconds", [0.0, 1e-6, 0.000123, 0.5, 3600.0, 90_000.0])
def test_precision(seconds: float) -> None:
    """A kept mean differs from the exact one by at most 0.05 %, or by a microsecond."""
    means = PhaseMeans()
    add(means, START, seconds)
    comparison = compare(means, START + HOUR_SECONDS)
    assert comparison
    assert comparison.recent == pytest.approx(seconds, rel=5.1e-4, abs=1.1e-6)
