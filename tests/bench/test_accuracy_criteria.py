"""Acceptance criteria of the accuracy benchmark."""

import math

import pytest

from bench.accuracy_criteria import (
    CPU,
    DURING_SCRAPES,
    GIL_HELD,
    LOST_TICKS,
    MEMORY,
    SCRAPE,
    WAIT_P50,
    evaluate,
)
from bench.accuracy_results import BLACKBOX, DAEMON, Accuracy, Results, percentiles, quantile
from bench.cost import Memory, Scrapes, TickCounts
from bench.verdict import Verdict
from bench.workload import Run, TimingError, Workload

WORKLOAD = Workload(rate=50, tls=False)


def _errors(milliseconds: float) -> list[TimingError]:
    error = milliseconds / 1e3
    return [TimingError(started=0.0, ended=0.02, wait=error, total=error)] * 10


def _accuracy(
    prober: str, milliseconds: float, *, cpu: float = 1e-3, workload: Workload = WORKLOAD
) -> Accuracy:
    run = Run(errors=_errors(milliseconds), cpu=cpu)
    return Accuracy(prober=prober, workload=workload, runs=(run, run))


def _verdicts(results: Results) -> dict[str, Verdict]:
    return {verdict.criterion: verdict for verdict in evaluate(results)}


def test_quantile() -> None:
    """A quantile is a value of the sample that at least that ratio of values does not exceed."""
    assert quantile([3, 1, 2, 4], 0.5) == 2
    assert quantile(range(1, 101), 0.99) == 99
    assert quantile([5], 0.01) == 5
    assert math.isnan(quantile([], 0.5))
    assert percentiles([2, 1])[::100] == [1, 2]


@pytest.mark.parametrize(("milliseconds", "met"), [(0.04, True), (0.05, False)])
def test_ratio_to_blackbox(milliseconds: float, met: bool) -> None:
    """A `wait` error of 0.4 times that of blackbox_exporter meets the bound, 0.5 times does not."""
    accuracies = [_accuracy(DAEMON, milliseconds), _accuracy(BLACKBOX, 0.1001)]
    assert _verdicts(Results(accuracies=accuracies))[WAIT_P50].met is met


def test_no_ratio_without_blackbox() -> None:
    """Without successful probes of blackbox_exporter there is no verdict about ratios."""
    failed = Accuracy(prober=BLACKBOX, workload=WORKLOAD, runs=(Run(failed=9),))
    for others in ([], [failed]):
        assert evaluate(Results(accuracies=[_accuracy(DAEMON, 0.05), *others])) == []


@pytest.mark.parametrize(("milliseconds", "met"), [(0.099, True), (0.11, False)])
def test_gil_held(milliseconds: float, met: bool) -> None:
    """With the GIL held, the `wait` error may be twice that of the same workload without."""
    workload = Workload(rate=50, tls=False, gil=True)
    accuracies = [_accuracy(DAEMON, 0.05), _accuracy(DAEMON, milliseconds, workload=workload)]
    assert _verdicts(Results(accuracies=accuracies))[GIL_HELD].met is met


def _scrapes(*, error_ms: float, seconds: float = 0.2) -> Scrapes:
    return Scrapes(
        probes=1000,
        durations=(seconds,) * 3,
        size=1,
        compressed=1,
        cpu=15.0,
        during=tuple(_errors(error_ms)),
        other=tuple(_errors(0.1)),
    )


def test_cpu_includes_scrapes() -> None:
    """The CPU of a probe includes its share of a scrape every 15 s: 15 s / 1,000 / 15 = 1 ms."""
    accuracies = [_accuracy(DAEMON, 0.1, cpu=0.5e-3), _accuracy(BLACKBOX, 0.1)]
    assert _verdicts(Results(accuracies=accuracies))[CPU].compared == pytest.approx(0.5)
    results = Results(accuracies=accuracies, scrapes=_scrapes(error_ms=0.1))
    assert _verdicts(results)[CPU].compared == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("cpu", "workload", "met"),
    [
        (0.5e-3, WORKLOAD, True),
        (0.51e-3, WORKLOAD, False),
        (0.5e-3, Workload(rate=50, tls=False, reuse=True), True),
        (0.51e-3, Workload(rate=50, tls=False, reuse=True), False),
        (0.8e-3, Workload(rate=50, tls=True), True),
        (0.81e-3, Workload(rate=50, tls=True), False),
    ],
)
def test_cpu_is_compared_with_new_connections(cpu: float, workload: Workload, met: bool) -> None:
    """blackbox_exporter reuses no connection."""
    blackbox = _accuracy(BLACKBOX, 0.1, workload=Workload(rate=50, tls=workload.tls))
    accuracies = [_accuracy(DAEMON, 0.1, cpu=cpu, workload=workload), blackbox]
    assert _verdicts(Results(accuracies=accuracies))[CPU].met is met


def test_costs() -> None:
    """Memory, duration of a scrape, errors during scrapes, and lost ticks have bounds."""
    good = Results(
        memory={"TLS": Memory(resident=52.0, highest=80.0, proportional=40.0)},
        scrapes=_scrapes(error_ms=0.15, seconds=1.0),
        schedule=TickCounts(ticks=10, runs=8, in_flight=2, skipped=0, failures=0),
    )
    assert all(verdict.met for verdict in evaluate(good))
    bad = Results(
        memory={"plain": Memory(resident=45.1, highest=80.0, proportional=40.0)},
        scrapes=_scrapes(error_ms=0.25, seconds=1.1),
        schedule=TickCounts(ticks=10, runs=7, in_flight=2, skipped=0, failures=0),
    )
    missed = {verdict.criterion for verdict in evaluate(bad) if not verdict.met}
    assert missed == {MEMORY, SCRAPE, DURING_SCRAPES, LOST_TICKS}
