"""Reports of load tests with chosen steps."""

from collections import Counter

from probe.load.report import Demand, LoadReport, StepReport
from probe.load.statistics import Quantile
from probe.load.verdict import Evidence, Verdict
from probe.result import Component, Phase, Reason
from probe.statistics.intervals import Bounds
from tests.load.step_fixtures import OBJECTIVE


def step_report(
    rate: float,
    verdict: Verdict = Verdict.MET,
    *,
    bad: int = 10,
    is_confirmation: bool = False,
    queue: float = 0.01,
    wait: float = 0.05,
) -> StepReport:
    """Return a step with 1,000 requests. Times are in seconds."""
    seconds = 180 if is_confirmation else 20
    share = bad / 1000
    evidence = Evidence(
        objective=OBJECTIVE,
        requests=1000,
        bad=bad,
        bounds=Bounds(max(0.0, share - 0.005), share + 0.01),
    )
    return StepReport(
        rate=rate,
        is_confirmation=is_confirmation,
        seconds=seconds,
        offered=1000,
        completed=998,
        failures=Counter({Reason.OVERLOADED: 3}),
        dropped=2,
        evidence=(evidence,),
        limiting=evidence,
        p50=Quantile(0.05, 0.04, 0.06),
        p95=Quantile(0.09, 0.08, 0.095),
        p99=None,
        in_flight=rate * 0.05,
        throughput=998 / seconds,
        phases={Phase.WAIT: wait, Phase.RECEIVE: 0.001},
        components={Component.QUEUE: queue, Component.COMPUTE: 0.04, Component.TOTAL: wait},
        lag_seconds=0.0005,
        verdict=verdict,
        passed=verdict is Verdict.MET,
    )


def load_report(
    *steps: StepReport, demand: Demand | None = None, reason: str = "a rate was confirmed"
) -> LoadReport:
    """Return the report of `steps`, of which a confirmation that is met is the last one."""
    is_confirmed = bool(steps) and steps[-1].is_confirmation and steps[-1].passed
    return LoadReport(
        probe="sentiment",
        url="http://127.0.0.1:5000/predict",
        objectives=(OBJECTIVE,),
        steps=steps,
        confirmed=steps[-1] if is_confirmed else None,
        reason=reason,
        demand=demand,
    )
