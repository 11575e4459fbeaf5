"""Events of objectives that a reload changes, from the increases between scrapes."""

from collections.abc import Collection

from probe.metrics import catalogue
from probe.prometheus.increases import Increase
from probe.prometheus.scrapes import DIMENSION_METRIC, CounterKey, ObjectiveKey
from probe.report.dimension_counts import DimensionCounts, DimensionValue
from probe.report.objective_counts import Objective, ObjectiveCounter, ObjectiveCounts
from probe.result import Outcome, Signal

REPLICAS = tuple(frozenset({("instance", f"{name}:10115")}) for name in "ab")
STRICT, RELAXED = (Objective(ObjectiveKey("chat", Signal.LATENCY, s), 0.99) for s in (0.1, 0.12))


def increase(since: float, time: float, objectives: Collection[Objective]) -> Increase:
    """Return 20 requests of version 1: 10 within 100 ms, 15 within 120 ms, 5 failures."""
    counts: dict[CounterKey, float] = {}
    for metric, labels in ((catalogue.LATENCY.name, ()), (DIMENSION_METRIC, ("version", "1"))):
        counts[CounterKey(metric, Outcome.SUCCESS, 0.1, *labels)] = 10
        counts[CounterKey(metric, Outcome.SUCCESS, 0.12, *labels)] = 15
        counts[CounterKey(metric, Outcome.SUCCESS, float("inf"), *labels)] = 15
        counts[CounterKey(metric, Outcome.FAILURE, float("inf"), *labels)] = 5
    return Increase(
        since=since,
        time=time,
        absent_since=None,
        interval=1.0,
        counts=counts,
        targets={objective.key: objective.target for objective in objectives},
    )


def count(*scrapes: tuple[int, float, float, Objective]) -> dict[Objective, ObjectiveCounts]:
    """Return the counts of scrapes of a replica, each with one objective."""
    counter = ObjectiveCounter()
    for replica, since, time, objective in scrapes:
        counter.add(REPLICAS[replica], increase(since, time, [objective]))
    return counter.finish()


def test_an_objective_that_returns() -> None:
    """The time in which another objective replaced it is not its own, and ends its incident."""
    counts = count(
        (0, 0, 15, STRICT), (0, 15, 30, RELAXED), (0, 30, 45, STRICT), (0, 45, 60, STRICT)
    )

    strict, relaxed = counts[STRICT], counts[RELAXED]
    assert strict.in_effect == [(0, 15), (30, 60)]
    assert relaxed.in_effect == [(15, 30)]
    assert (strict.events.good, strict.events.bad) == (30, 30)
    assert (strict.is_current, relaxed.is_current) == (True, False)
    assert [(item.start, item.end) for item in strict.detector.incidents] == [(0, 15), (30, 60)]


def test_an_objective_that_was_just_replaced() -> None:
    """It is not current from the next scrape on."""
    counts = count((0, 0, 15, STRICT), (0, 15, 30, RELAXED))

    assert (counts[STRICT].is_current, counts[RELAXED].is_current) == (False, True)


def test_a_restart_of_the_prober() -> None:
    """Time without any scrape does not end the time in effect."""
    counts = count((0, 0, 15, STRICT), (0, 1000, 1015, STRICT))

    assert counts[STRICT].in_effect == [(0, 1015)]


def test_replicas_with_different_objectives() -> None:
    """During a rollout, both objectives are in effect."""
    counts = count(
        *((0, 0, 15, STRICT), (1, 2, 17, RELAXED), (0, 15, 30, STRICT), (1, 17, 32, RELAXED))
    )

    assert counts[STRICT].in_effect == [(0, 30)]
    assert counts[RELAXED].in_effect == [(2, 32)]
    assert counts[STRICT].is_current


def test_thresholds_of_versions() -> None:
    """A threshold is compared with the events of the time in which it was in effect."""
    counts = DimensionCounts()
    for since, objective in ((0, STRICT), (15, STRICT), (30, RELAXED)):
        counts.add(increase(since, since + 15, [objective]))

    version = DimensionValue("version", "1")
    assert counts.events[version].total == 60
    assert {
        threshold: (events.good, events.total)
        for threshold, events in counts.within[version].items()
    } == {0.1: (20, 40), 0.12: (15, 20)}
