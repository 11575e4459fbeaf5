"""What is judged, and by which measure."""

import math

import pytest

from bench.cost import Account, Memory, Scrapes
from bench.figures import OURS, PEER, Accuracy, Figures, quantile
from bench.report import percentiles
from bench.soak_verdict import CPU, HELD, INVISIBLE, LOST, MEMORY, SCRAPE, WAIT_P50, Verdict, judge
from bench.workload import Error, Run, Workload

WORK = Workload(rate=50, tls=False)


def _errors(milliseconds: float) -> list[Error]:
    error = milliseconds / 1e3
    return [Error(started=0.0, ended=0.02, wait=error, total=error)] * 10


def _accuracy(
    prober: str, milliseconds: float, *, cpu: float = 1e-3, work: Workload = WORK
) -> Accuracy:
    run = Run(errors=_errors(milliseconds), cpu=cpu)
    return Accuracy(prober=prober, workload=work, runs=(run, run))


def _verdicts(figures: Figures) -> dict[str, Verdict]:
    return {verdict.claim: verdict for verdict in judge(figures)}


def test_quantile() -> None:
    """A quantile is a value of the sample that at least that share does not exceed."""
    assert quantile([3, 1, 2, 4], 0.5) == 2
    assert quantile(range(1, 101), 0.99) == 99
    assert quantile([5], 0.01) == 5
    assert math.isnan(quantile([], 0.5))
    assert percentiles([2, 1])[::100] == [1, 2]


@pytest.mark.parametrize(("ours", "met"), [(0.04, True), (0.05, False)])
def test_the_ratio_to_the_peer_is_judged(ours: float, met: bool) -> None:
    """A wait error of 0.4 times the peer's is within the bound, one of 0.5 times is not."""
    figures = Figures(accuracies=[_accuracy(OURS, ours), _accuracy(PEER, 0.1001)])
    assert _verdicts(figures)[WAIT_P50].met is met


def test_without_the_peer_nothing_is_compared_with_it() -> None:
    """Without blackbox_exporter, or with a run of it in which all failed, no ratio is claimed."""
    failed = Accuracy(prober=PEER, workload=WORK, runs=(Run(failed=9),))
    for others in ([], [failed]):
        assert judge(Figures(accuracies=[_accuracy(OURS, 0.05), *others])) == []


@pytest.mark.parametrize(("held", "met"), [(0.099, True), (0.11, False)])
def test_a_held_gil_is_compared_with_an_idle_one(held: float, met: bool) -> None:
    """With the GIL held the wait error may be twice that of the same work without."""
    work = Workload(rate=50, tls=False, gil=True)
    figures = Figures(accuracies=[_accuracy(OURS, 0.05), _accuracy(OURS, held, work=work)])
    assert _verdicts(figures)[HELD].met is met


def _scrapes(*, during: float, seconds: float = 0.2) -> Scrapes:
    return Scrapes(
        probes=1000,
        durations=(seconds,) * 3,
        size=1,
        compressed=1,
        cpu=15.0,
        quiet=tuple(_errors(0.1)),
        scraped=tuple(_errors(during)),
    )


def test_cpu_has_its_share_of_the_scrapes() -> None:
    """The CPU of a probe holds a share of a scrape each 15 s: 15 s for 1,000 probes is 1 ms."""
    pair = [_accuracy(OURS, 0.1, cpu=0.5e-3), _accuracy(PEER, 0.1)]
    assert _verdicts(Figures(accuracies=pair))[CPU].judged == pytest.approx(0.5)
    figures = Figures(accuracies=pair, scrapes=_scrapes(during=0.1))
    assert _verdicts(figures)[CPU].judged == pytest.approx(1.5)


def test_costs_have_bounds_of_their_own() -> None:
    """Memory, the time of a scrape, its trace in the errors, and lost ticks are each judged."""
    good = Figures(
        memory={"plain": Memory(resident=64.0, highest=80.0)},
        scrapes=_scrapes(during=0.15, seconds=1.0),
        schedule=Account(ticks=10, runs=8, in_flight=2, skipped=0, failures=0),
    )
    assert all(verdict.met for verdict in judge(good))
    bad = Figures(
        memory={"plain": Memory(resident=64.1, highest=80.0)},
        scrapes=_scrapes(during=0.25, seconds=1.1),
        schedule=Account(ticks=10, runs=7, in_flight=2, skipped=0, failures=0),
    )
    missed = {verdict.claim for verdict in judge(bad) if not verdict.met}
    assert missed == {MEMORY, SCRAPE, INVISIBLE, LOST}
