"""Increases of counters from scrape to scrape."""

from probe.metrics import catalogue
from probe.prometheus.increases import Increase, ReplicaCounters
from probe.prometheus.scrapes import (
    CounterKey,
    ObjectiveKey,
    Scrape,
    all_counters,
    success_counter,
)
from probe.result import Signal

TICKS = CounterKey(catalogue.TICKS.name)
GOOD = success_counter(Signal.LATENCY, 0.5)
ALL, _ = all_counters(Signal.LATENCY)
OBJECTIVE = ObjectiveKey("a", Signal.LATENCY, 0.5)
REPLICA = frozenset({("instance", "a")})


def scrape(time: float, start: float | None, *targets: ObjectiveKey, **values: float) -> Scrape:
    """Return a scrape with the counters `ticks`, `good` and `all`."""
    names = {"ticks": TICKS, "good": GOOD, "all": ALL}
    return Scrape(
        REPLICA,
        time,
        counters={names[name]: value for name, value in values.items()},
        targets=dict.fromkeys(targets, 0.99),
        interval=10.0,
        process_start=start,
    )


def increases(*scrapes: Scrape, horizon: float = 0.0) -> list[Increase | None]:
    counters = ReplicaCounters(horizon)
    return [counters.advance(item) for item in scrapes]


def counts(increase: Increase | None) -> tuple[float, float, float] | None:
    return (increase.of(TICKS), increase.of(GOOD), increase.of(ALL)) if increase else None


def test_first_scrape() -> None:
    """A process that began in the period counts from 0, an older one from its first scrape."""
    (new,) = increases(scrape(130, 100, ticks=3), horizon=50)
    assert new
    assert (new.of(TICKS), new.since, new.absent_since) == (3, 100, None)
    for start in (40, None):
        (old,) = increases(scrape(130, start, ticks=3), horizon=50)
        assert old
        assert (old.of(TICKS), old.since) == (0, 130)


def test_probe_added_after_the_start() -> None:
    """Ticks show that a reload added the probe long after the process began."""
    (increase,) = increases(scrape(5000, 100, ticks=29, good=29, all=29), horizon=50)
    assert increase
    assert (increase.since, increase.of(GOOD)) == (5000 - 300, 29)


def test_restart_with_higher_values() -> None:
    """After a long gap the values may be higher than before: the start of the process counts."""
    _, increase = increases(
        scrape(100, 10, ticks=5, good=5, all=5), scrape(900, 500, ticks=40, good=4, all=39)
    )
    assert counts(increase) == (40, 4, 39)
    assert increase
    assert (increase.absent_since, increase.since) == (100, 500)


def test_restart_without_start_time() -> None:
    """If the target does not export the start of its process, decreasing ticks are a restart."""
    _, increase = increases(
        scrape(100, None, ticks=5, good=2, all=5), scrape(200, None, ticks=4, good=3, all=4)
    )
    assert counts(increase) == (4, 3, 4)


def test_reset_histogram() -> None:
    """A reload that resets a histogram resets all of its series, and no other counter."""
    _, increase = increases(
        scrape(100, 10, OBJECTIVE, ticks=9, good=3, all=9),
        scrape(200, 10, OBJECTIVE, ticks=14, good=4, all=5),
    )
    assert counts(increase) == (5, 4, 5)


def test_new_objective() -> None:
    """The daemon resets the histogram for a new objective, also if it then has more events."""
    _, increase = increases(
        scrape(100, 10, ticks=2, good=2, all=2), scrape(200, 10, OBJECTIVE, ticks=12, good=7, all=8)
    )
    assert counts(increase) == (10, 7, 8)


def test_probe_removed_and_restored() -> None:
    """A probe that a reload has removed counts from 0 when it is restored."""
    _, without, _, restored = increases(
        scrape(100, 10, ticks=5),
        scrape(200, 10),
        scrape(300, 10),
        scrape(400, 10, ticks=8, good=8),
    )
    assert without is None
    assert restored
    assert (restored.of(TICKS), restored.since, restored.absent_since) == (8, 300, None)


def test_new_series() -> None:
    """A series that appears, such as a version of the model, counts from 0."""
    _, increase = increases(scrape(100, 10, ticks=5), scrape(200, 10, ticks=6, good=1))
    assert counts(increase) == (1, 1, 0)
