"""Reports of load tests of simulated queues, for the tests of the output."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from probe.load.objective import LoadObjective
from probe.load.report import Demand, LoadReport, StepReport
from probe.load.search import SearchOptions, SearchResult
from probe.load.verdict import Verdict
from probe.result import Reason
from tests.load.simulated_queue import SimulatedQueue, constant, exponential, search, servers

OBJECTIVES = (
    LoadObjective(target=0.95, threshold_seconds=0.4),
    LoadObjective(target=0.99, threshold_seconds=1.0),
    LoadObjective.error_limit(0.001),
)
DEMAND = Demand(rate=20.0, headroom=0.2, utilization=0.9)


def report_of(
    result: SearchResult, objectives: Sequence[LoadObjective], demand: Demand | None = None
) -> LoadReport:
    """Return the report of a search."""
    return LoadReport(
        probe="sentiment",
        url="http://127.0.0.1:8000/v1/classify",
        objectives=tuple(objectives),
        steps=tuple(map(StepReport.of, result.steps)),
        confirmed=StepReport.of(result.confirmed) if result.confirmed else None,
        reason=str(result.reason),
        demand=demand,
    )


@cache
def four_servers() -> LoadReport:
    """Return the report of a search for the limit of the queue M/M/4, which is 29.4/s."""
    queue = SimulatedQueue(servers(4, exponential(0.1)), OBJECTIVES, np.random.default_rng(3))
    options = SearchOptions(first_rate=5, max_rate=1000, max_seconds=1200)
    return report_of(search(queue, OBJECTIVES, options), OBJECTIVES, DEMAND)


@cache
def fixed_rates() -> LoadReport:
    """Return the report of five rates up to twice the capacity of one server, 100/s."""
    objectives = OBJECTIVES[:1]
    queue = SimulatedQueue(servers(1, constant(0.01)), objectives, np.random.default_rng(1))
    options = SearchOptions(
        first_rate=50, max_rate=1000, max_seconds=1200, rates=(50, 75, 90, 150, 200)
    )
    return report_of(search(queue, objectives, options), objectives)


def all_verdicts() -> LoadReport:
    """Return a report with steps of all verdicts, failures, and percentiles of failed requests."""
    report = four_servers()
    first, *others = report.steps
    few = replace(first, verdict=Verdict.UNDECIDED, p95=None, p99=None)
    late = replace(
        others[-1], rate=80.0, verdict=Verdict.VOID, lag_seconds=0.3, is_confirmation=False
    )
    failing = replace(
        others[3],
        rate=60.0,
        failures=Counter({Reason.HTTP_5XX: 1200, Reason.FIRST_BYTE_TIMEOUT: 14}),
        dropped=25,
        p99=others[3].p99 and replace(others[3].p99, seconds=float("inf"), upper=float("inf")),
        p95=others[3].p95 and replace(others[3].p95, upper=float("inf")),
        verdict=Verdict.MISSED,
        passed=False,
    )
    return replace(report, steps=(few, *others, failing, late))
