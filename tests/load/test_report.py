"""Conclusions of load tests, and their text and JSON."""

import json
from dataclasses import replace

import pytest

from probe.load.output import render_json, render_text
from probe.load.report import Demand, Edge
from probe.load.statistics import Quantile
from probe.load.verdict import Verdict
from tests.load.report_fixtures import load_report, step_report

CONFIRMED = step_report(100, is_confirmation=True)


@pytest.mark.parametrize(
    ("rate", "bad", "edge"),
    [
        (105, 900, Edge.CLIFF),
        (105, 70, Edge.SLOPE),
        (150, 70, Edge.SLOPE),
        (150, 900, Edge.UNKNOWN),
    ],
)
def test_edge(rate: float, bad: int, edge: Edge) -> None:
    """Most requests bad just above the safe rate are a cliff. Farther away nothing is known."""
    step = step_report(rate, Verdict.MISSED, bad=bad)
    assert load_report(step, CONFIRMED).edge is edge


def test_edge_without_a_missed_rate() -> None:
    """Nothing is known above the highest measured rate."""
    assert load_report(CONFIRMED).edge is Edge.UNKNOWN


def test_missed_rate() -> None:
    """It is the lowest missed one above the safe rate, and a void step is none."""
    report = load_report(
        step_report(90, Verdict.MISSED),
        step_report(104, Verdict.VOID),
        step_report(120, Verdict.MISSED),
        step_report(110, Verdict.MISSED),
        CONFIRMED,
    )
    assert report.missed
    assert report.missed.rate == 110


def test_server_component_that_degraded() -> None:
    """The component that grew most is named, not the total of all."""
    report = load_report(
        step_report(50), step_report(110, Verdict.MISSED, queue=0.3, wait=0.35), CONFIRMED
    )
    assert report.degradation
    assert report.degradation.name == "server: queue"
    assert (report.degradation.before, report.degradation.after) == (0.01, 0.3)


def test_phase_that_degraded() -> None:
    """Without times of the server, it is a phase."""
    steps = [step_report(50), step_report(110, Verdict.MISSED, wait=0.35), CONFIRMED]
    report = load_report(*(replace(step, components={}) for step in steps))
    assert report.degradation
    assert report.degradation.name == "wait"


def test_nothing_degraded() -> None:
    """Times that grow by less than half are not named."""
    report = load_report(step_report(50), step_report(110, Verdict.MISSED), CONFIRMED)
    assert report.degradation is None


@pytest.mark.parametrize(
    ("rate", "headroom", "utilization", "replicas", "is_met"),
    [(80, 0.2, 1.0, 1, True), (81, 0.2, 1.0, 2, True), (600, 0.2, 0.7, 11, False)],
)
def test_demand(
    rate: float, headroom: float, utilization: float, replicas: int, *, is_met: bool
) -> None:
    """Replicas follow from the safe rate of 100/s. Decimal shares are not rounded up."""
    demand = Demand(rate=rate, headroom=headroom, utilization=utilization)
    report = load_report(CONFIRMED, demand=demand)
    assert (report.replicas, report.is_met) == (replicas, is_met)
    assert report.headroom == pytest.approx(1 - rate / 100)


TEXT = """\
sentiment: 95% < 100ms

rate   seconds  offered  failed  bad  upper bound  p50    p95     in flight  verdict
50/s   20       1000     5       1%   2%           50 ms  90 ms   2.5        met
110/s  20       1000     5       90%  91%          50 ms  failed  5.5        missed
150/s  20       1000     5       1%   2%           50 ms  90 ms   7.5        void
100/s  180      1000     5       1%   2%           50 ms  90 ms   5          met, confirmation

Safe rate: 100/s, held for 180 s: 1000 requests, 10 bad, upper bound 2%.
Requests in flight at this rate: 5.
First missed rate: 110/s, with 90% bad.
Edge: cliff: just above the safe rate, many requests are bad; keep headroom.
Grew most until the missed rate: server: queue, from 10 ms to 300 ms.
All steps at 150/s are void: the load generator was too late, or failed. Run it where it has \
more CPU.
Headroom at 80/s: 20% of the safe rate.
Replicas for 80/s with a headroom of 20%: 1."""


def test_text() -> None:
    """The text has a row for each step, and the result with its evidence."""
    report = load_report(
        step_report(50),
        replace(
            step_report(110, Verdict.MISSED, bad=900, queue=0.3),
            p95=Quantile(float("inf"), 1.0, float("inf")),
        ),
        step_report(150, Verdict.VOID),
        CONFIRMED,
        demand=Demand(rate=80, headroom=0.2, utilization=1.0),
    )
    assert render_text(report) == TEXT


def test_text_without_a_safe_rate() -> None:
    """The reason is named."""
    report = load_report(step_report(50, Verdict.MISSED), reason="it was interrupted")
    assert "No safe rate is confirmed: it was interrupted." in render_text(report)
    assert not report.is_met


def test_json() -> None:
    """The JSON has the documented keys, and no infinite number."""
    infinite = Quantile(float("inf"), 1.0, float("inf"))
    report = load_report(replace(step_report(110, Verdict.MISSED), p95=infinite), CONFIRMED)
    document = json.loads(json.dumps(render_json(report), allow_nan=False))
    assert document["safe_rate"] == 100
    assert document["missed_rate"] == 110
    assert document["confirmed"] == {
        "rate": 100,
        "seconds": 180,
        "requests": 1000,
        "bad": 10,
        "upper_bound": 0.02,
        "in_flight": 5,
    }
    missed, confirmed = document["steps"]
    assert missed["p95"] is None
    assert missed["p95_interval"] == [1.0, None]
    assert confirmed["p95"] == 0.09
    assert confirmed["p95_interval"] == [0.08, 0.095]
    assert confirmed["objectives"] == [
        {
            "objective": "95% < 100ms",
            "requests": 1000,
            "bad": 10,
            "upper_bound": 0.02,
            "lower_bound": 0.005,
            "verdict": "met",
        }
    ]
    assert document["steps"][1]["p99"] is None
    assert document["expected"] is document["replicas"] is None


def test_undecided_missed_rate() -> None:
    """The text says that the first missed rate is not significantly above the allowed share."""
    report = load_report(step_report(110, Verdict.UNDECIDED, bad=60), CONFIRMED)
    assert "First missed rate: 110/s, with 6% bad. This step is undecided." in render_text(report)
