"""Coverage of a period by the runs of a probe."""

from collections.abc import Mapping

import pytest

from probe.metrics import catalogue
from probe.prometheus.increases import Increase
from probe.prometheus.scrapes import COLD_STARTS, CounterKey
from probe.report.coverage import Coverage, CoverageCounter
from probe.report.period import Period
from probe.report.wording import first_data_sentence
from probe.result import Outcome, Reason

REPLICA = frozenset({("instance", "a:10115")})
RUNS = CounterKey(catalogue.RUNS.name)
SUCCESSES = CounterKey(catalogue.LATENCY.name, Outcome.SUCCESS)
FAILURES = CounterKey(catalogue.LATENCY.name, Outcome.FAILURE)
COLD = CounterKey(COLD_STARTS)
STARTUP = CounterKey(catalogue.FAILURES.name, Reason.STARTUP)


def coverage(counts: Mapping[CounterKey, float], *, end: float = 1000.0) -> Coverage:
    """Return the coverage of 1,000 s with an interval of 10 s and `counts`, until `end`."""
    counter = CoverageCounter(0.0)
    increase = Increase(
        since=0.0, time=1000.0, absent_since=None, interval=10.0, counts=counts, targets={}
    )
    counter.add(REPLICA, increase)
    result = counter.coverage(end)
    assert result
    return result


def excluded(result: Coverage, cause: str) -> tuple[int, float]:
    return next((item.runs, item.seconds) for item in result.excluded if item.cause == cause)


@pytest.mark.parametrize(
    ("events", "runs"),
    [({SUCCESSES: 78, FAILURES: 2}, 20), ({SUCCESSES: 95, FAILURES: 5}, 0)],
    ids=["excluded", "counted by the objectives"],
)
def test_cold_starts(events: Mapping[CounterKey, float], runs: int) -> None:
    """Cold starts that are no events, successful or failed, are excluded and no missing data."""
    result = coverage({RUNS: 100, COLD: 20, **events})
    assert excluded(result, "cold") == (runs, runs * 10)
    assert result.expected == 100
    assert result.deliberate == runs


def test_startup_is_no_missing_data() -> None:
    """Failures while the endpoint starts are excluded from what is expected."""
    result = coverage({RUNS: 100, SUCCESSES: 90, STARTUP: 10})
    assert excluded(result, "startup") == (10, 100)
    assert excluded(result, "cold") == (0, 0)
    assert result.deliberate == 10


@pytest.mark.parametrize(
    ("since", "sentence"),
    [
        (4900.0, ", so the report covers 0.9 of 1.0 days."),
        (4600.0, ". Its counters have the requests since 1970-01-01 01:16:40 UTC, so the report"),
    ],
    ids=["new process", "process that was not scraped before"],
)
def test_first_data(since: float, sentence: str) -> None:
    """The first data is the first scrape, and not the start of the process."""
    period = Period(name="day", start=0.0, end=86400.0)
    counter = CoverageCounter(period.start)
    for start, time in ((since, 5000.0), (5000.0, 86400.0)):
        increase = Increase(
            since=start, time=time, absent_since=None, interval=10.0, counts={}, targets={}
        )
        counter.add(REPLICA, increase)
    found = counter.coverage(period.end)
    assert found
    assert (found.first_scrape, found.start) == (5000.0, since)
    first_data = f"the first data is of 1970-01-01 01:23:20 UTC{sentence}"
    assert first_data_sentence(found, period).startswith(first_data)


@pytest.mark.parametrize(("end", "absent"), [(1299.0, 0.0), (1301.0, 301.0)])
def test_end_of_the_period(end: float, absent: float) -> None:
    """A scrape may be 5 minutes ago, which is no absence."""
    assert coverage({RUNS: 100, SUCCESSES: 100}, end=end).absent_seconds == absent
