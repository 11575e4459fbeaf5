"""What the report of a load test says about an endpoint beyond its limit."""

from dataclasses import replace

import pytest

from probe.load.objective import LoadObjective
from probe.load.report import Edge
from probe.load.verdict import Verdict
from tests.load.example_reports import OBJECTIVES, fixed_rates, four_servers


@pytest.mark.parametrize("rate", [150, 200])
def test_throughput_of_an_overloaded_endpoint(rate: float) -> None:
    """The throughput is that of the endpoint, although all requests have a result at the end."""
    step = next(step for step in fixed_rates().steps if step.rate == rate)
    assert step.completed == step.offered
    assert step.throughput == pytest.approx(100, rel=0.1)


def test_throughput_below_the_limit() -> None:
    """The throughput is the rate of the requests."""
    confirmed = fixed_rates().confirmed
    assert confirmed
    assert confirmed.throughput == pytest.approx(confirmed.offered / confirmed.seconds, rel=0.01)


def test_evidence_of_a_missed_step() -> None:
    """A missed step shows the objective that is missed, not one with few requests as evidence."""
    missed = [step for step in four_servers().steps if step.verdict is Verdict.MISSED]
    assert missed
    for step in missed:
        assert step.limiting.objective == OBJECTIVES[0]
        assert step.limiting.bad_share > OBJECTIVES[0].allowed


def test_edge_with_a_limit_of_errors() -> None:
    """Slow requests are compared with the objective for them, not with the limit of errors."""
    report = four_servers()
    assert report.missed
    assert LoadObjective.error_limit(0.001) in report.objectives
    assert report.edge is Edge.SLOPE
    limiting = report.missed.limiting
    missed = replace(report.missed, limiting=replace(limiting, bad=limiting.requests))
    steps = [missed if step == report.missed else step for step in report.steps]
    assert replace(report, steps=tuple(steps)).edge is Edge.CLIFF
