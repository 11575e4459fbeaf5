"""Reports about a simulated history in a real Prometheus, whose counts are known."""

import pytest

from probe.report.report import ObjectiveReport, ProbeReport, SlaReport
from tests.report.conftest import SCRIPT, History

HOUR = 3600.0


@pytest.fixture(scope="module")
def probe(report: SlaReport) -> ProbeReport:
    (probe,) = report.probes
    return probe


def objectives(report: SlaReport) -> tuple[ObjectiveReport, ObjectiveReport]:
    """Return the objectives of the latency and of the availability."""
    latency, availability = report.objectives
    return latency, availability


def test_events(history: History, report: SlaReport) -> None:
    """Good and bad events are the increases of the counters, over restarts, gaps and replicas."""
    period = (8 * HOUR, 40 * HOUR)
    latency, availability = objectives(report)
    assert latency.events.good == history.scraped(*period, "fast")
    assert latency.events.bad == history.scraped(*period, "slow", "failure")
    assert availability.events.good == history.scraped(*period, "fast", "slow")
    assert availability.events.bad == history.scraped(*period, "failure")
    assert latency.events.bad == sum(latency.reasons.values()) > 200
    assert sum(events.total for events in latency.hours.values()) == latency.events.total


def test_successive_periods(history: History, report: SlaReport) -> None:
    """Periods that follow each other count each event once."""
    whole, _ = objectives(report)
    parts = [history.report(8 * HOUR, 33.7 * HOUR), history.report(33.7 * HOUR, 40 * HOUR)]
    events = [objectives(part)[0].events for part in parts]
    assert sum(part.good for part in events) == whole.events.good
    assert sum(part.bad for part in events) == whole.events.bad


def test_lost_events(history: History, report: SlaReport) -> None:
    """A restart loses what was counted after its last scrape, and nothing else."""
    latency, _ = objectives(report)
    counted = sum(life.values["fast"] for replica in history.replicas for life in replica.lives)
    lost = sum(replica.lost("fast") for replica in history.replicas)
    before = history.scraped(-HOUR, 8 * HOUR, "fast")
    after = counted - lost - before - latency.events.good
    assert lost > 0
    # After the last scrape of the history.
    assert 0 <= after <= 2 * SCRIPT.scrape_interval / SCRIPT.interval


def test_coverage(history: History, probe: ProbeReport) -> None:
    """Runs due, run and skipped are those of the counters; absent time is that of no replica."""
    period = (8 * HOUR, 40 * HOUR)
    coverage = probe.coverage
    assert coverage
    assert coverage.due == history.scraped(*period, "ticks")
    assert coverage.run == history.scraped(*period, "runs")
    assert coverage.skipped["paused"] == history.scraped(*period, "skipped paused") == 360
    assert {item.cause: item.runs for item in coverage.excluded} == {
        "startup": history.scraped(*period, "failures startup"),
        "internal": 0,
        "cold": 0,
        "paused": 360,
        "budget": 0,
    }
    assert coverage.expected == pytest.approx(2 * 32 * HOUR / SCRIPT.interval, rel=0.001)
    # Both replicas are absent from the last scrape of the first to its start.
    assert coverage.absent_seconds == pytest.approx(0.5 * HOUR, abs=SCRIPT.scrape_interval)
    replicas = {dict(replica.replica)["instance"]: replica for replica in coverage.replicas}
    assert replicas["first:10115"].restarts == 3
    # The process ended at an unknown time in the gap: nothing of it was scraped.
    assert replicas["first:10115"].absent_seconds == pytest.approx(1.0 * HOUR, abs=300)
    assert replicas["second:10115"].absent_seconds == pytest.approx(2 * HOUR, abs=60)
    assert coverage.unscraped_seconds == pytest.approx(2.5 * HOUR, abs=600)


def test_incidents(history: History, report: SlaReport, probe: ProbeReport) -> None:
    """Each incident has its times, to a scrape, its reasons and the page."""
    latency, availability = objectives(report)
    expected = [
        (20 * HOUR, 20.5 * HOUR, "http_5xx", ["ModelDown"]),
        (25 * HOUR, 25.5 * HOUR, "slow", []),
        (30 * HOUR, 30.2 * HOUR, "refused", []),
    ]
    for objective, outages in ((latency, expected), (availability, [expected[0], expected[2]])):
        assert len(objective.incidents) == len(outages)
        for item, (start, end, reason, alerts) in zip(objective.incidents, outages, strict=True):
            incident = item.incident
            assert incident.start - history.origin == pytest.approx(start, abs=120)
            assert incident.end - history.origin == pytest.approx(end, abs=120)
            assert next(iter(incident.reasons)) == reason
            assert incident.reasons[reason] == round(2 * (end - start) / SCRIPT.interval)
            assert [page.alert for page in item.pages] == alerts
    assert [page.alert for page in probe.other_pages] == ["ModelErrorBudgetBurn"]


def test_previous_period(history: History, report: SlaReport) -> None:
    """The previous period has the same duration, as far as there is data."""
    latency, availability = objectives(report)
    assert latency.previous
    assert latency.previous.events.good == history.scraped(0, 8 * HOUR, "fast")
    assert availability.previous
    assert availability.previous.attainment == 1.0
    assert availability.previous.status == "not_enough_data"


def test_quantiles(probe: ProbeReport) -> None:
    """Quantiles are within the buckets of the simulated latencies."""
    for name in ("latency", "wait"):
        quantiles = probe.times[name].quantiles
        assert 0 < quantiles[0.5] < quantiles[0.95] <= 0.1
        assert 0.5 < quantiles[0.99] <= 1.0
    assert list(probe.times) == ["latency", "wait"]


def test_versions(history: History, probe: ProbeReport) -> None:
    """The events of each version are exact, and add up to all events."""
    period = (8 * HOUR, 40 * HOUR)
    first, second = probe.dimensions
    for report, version in ((first, "1"), (second, "2")):
        names = [f"version {version} {result}" for result in ("fast", "slow", "failure")]
        assert (report.dimension, report.value) == ("version", version)
        assert report.events == history.scraped(*period, *names)
        assert report.failed == history.scraped(*period, names[2]) > 0
        assert report.within[0.5].good == history.scraped(*period, names[0])
        assert report.within[0.5].total == report.events
        assert report.times
        assert 0 < report.times.quantiles[0.5] <= 0.1
