"""Comparison of the errors of two revisions."""

import pytest

from bench.accuracy_before import compare, render
from bench.accuracy_results import BEFORE, DAEMON, Accuracy, Results
from bench.workload import Run, TimingError, Workload

WORKLOAD = Workload(rate=200, tls=False)


def _accuracy(prober: str, milliseconds: list[float], workload: Workload = WORKLOAD) -> Accuracy:
    runs = tuple(
        Run(errors=[TimingError(started=0, ended=1, wait=ms / 1e3, total=2 * ms / 1e3)], cpu=1e-3)
        if ms
        else Run(failed=1)
        for ms in milliseconds
    )
    return Accuracy(prober=prober, workload=workload, runs=runs)


def test_pairs_of_each_round() -> None:
    """Each round has a ratio; a round in which a revision has no success is left out."""
    now, before = _accuracy(DAEMON, [0.1, 0.3, 0.2]), _accuracy(BEFORE, [0.1, 0.1, 0.0])
    other = _accuracy(DAEMON, [0.1] * 3, Workload(rate=200, tls=True))
    p50, _, total_p50, _, cpu = compare(Results(accuracies=[now, before, other]))
    assert (p50.measure, total_p50.measure) == ("`wait` error, p50", "total error, p50")
    assert p50.ratios == pytest.approx([1, 3])
    assert total_p50.now == pytest.approx([0.2, 0.6])
    assert cpu.ratios == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("milliseconds", "is_met"),
    [([0.12] * 6, False), ([0.12] * 5 + [0.1], True), ([0.109] * 6, True), ([0.05] * 6, True)],
)
def test_errors_are_worse_if_the_whole_interval_is(milliseconds: list[float], is_met: bool) -> None:
    """One of six rounds that is as before makes it noise."""
    accuracies = [_accuracy(DAEMON, milliseconds), _accuracy(BEFORE, [0.1] * 6)]
    pairs = compare(Results(accuracies=accuracies))
    assert [pair.is_met for pair in pairs] == [is_met] * 4 + [True]
    assert ("**no**" in render(pairs, "")) is not is_met
