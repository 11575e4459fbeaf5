"""Incidents in sequences of events."""

import random

import pytest

from probe.report.incident import IncidentDetector

INTERVAL = 10.0


def detect(bad: list[bool], target: float, interval: float = INTERVAL) -> IncidentDetector:
    """Return a detector with one event per scrape, of which some are bad."""
    detector = IncidentDetector(1 - target)
    for number, is_bad in enumerate(bad):
        detector.add(
            since=number * interval,
            time=(number + 1) * interval,
            good=not is_bad,
            bad=is_bad,
            interval=interval,
            reasons={"http_5xx": 1} if is_bad else {},
        )
    detector.finish()
    return detector


def outage(length: int, before: int = 500, after: int = 500) -> list[bool]:
    return [False] * before + [True] * length + [False] * after


@pytest.mark.parametrize("target", [0.9, 0.95, 0.99, 0.999, 0.9999])
def test_outage(target: float) -> None:
    """An outage is one incident with exact times, for each target."""
    (incident,) = detect(outage(20), target).incidents
    assert (incident.start, incident.end, incident.bad) == (5000, 5200, 20)
    assert incident.reasons == {"http_5xx": 20}


def test_single_failures() -> None:
    """A few failures are not an incident, also if they are together."""
    assert detect(outage(3), 0.99).incidents == []


def test_two_outages() -> None:
    """Outages with a quarter of an hour between them are two incidents, also with a high target."""
    found = detect(outage(10, after=90) + outage(10, before=0), 0.9999).incidents
    assert [incident.bad for incident in found] == [10, 10]


def test_two_outages_of_a_fast_probe() -> None:
    """Hundreds of good requests end an incident before ten minutes are over."""
    found = detect(outage(60, after=300) + outage(60, before=0), 0.99, interval=1.0).incidents
    assert [incident.bad for incident in found] == [60, 60]


def test_end() -> None:
    """A single failure long after an outage does not extend it."""
    (incident,) = detect([*outage(20, after=50), True, *[False] * 500], 0.99).incidents
    assert (incident.end, incident.bad) == (5200, 20)


def test_flapping() -> None:
    """Failures that stop for a minute only are one incident."""
    (incident,) = detect(outage(10, after=6) + outage(10, before=0), 0.99).incidents
    assert (incident.bad, incident.seconds) == (20, 260)


def test_long_intervals() -> None:
    """The time without failures that ends an incident grows with the interval."""
    bad = [*outage(6, after=0), False, False, *[True] * 6, *[False] * 50]
    (incident,) = detect(bad, 0.99, interval=600.0).incidents
    assert incident.bad == 12


def test_brown_out() -> None:
    """A tenth of the requests fail for an hour: one incident, although most are good."""
    generator = random.Random(1)
    bad = [False] * 1000 + [generator.random() < 0.1 for _ in range(360)] + [False] * 1000
    (incident,) = detect(bad, 0.99).incidents
    assert incident.bad == pytest.approx(sum(bad), abs=3)


@pytest.mark.parametrize("target", [0.95, 0.99, 0.999])
def test_no_incidents_within_the_budget(target: float) -> None:
    """A model that just keeps its objective for a month has next to no incidents."""
    generator = random.Random(2)
    bad = [generator.random() < 1 - target for _ in range(259_200)]
    assert len(detect(bad, target).incidents) <= 1


def test_prober_is_absent() -> None:
    """Failures before and after a time without events are two incidents."""
    detector = IncidentDetector(0.01)
    for time in (*range(0, 100, 10), *range(5000, 5100, 10)):
        detector.add(
            since=time - 10, time=time, good=0, bad=1, interval=10.0, reasons={"refused": 1}
        )
    detector.finish()
    assert [(item.start, item.end) for item in detector.incidents] == [(-10, 90), (4990, 5090)]
