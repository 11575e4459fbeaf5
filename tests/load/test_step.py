"""Length and end of steps."""

import pytest

from probe.load.measurement import Counts, StepMeasurement
from probe.load.objective import LoadObjective
from probe.load.step import Step, StepPlan, required_warm_up, run_step
from probe.load.stop import LoadTestEnded, StopReason
from probe.load.verdict import Verdict
from tests.load.step_fixtures import OBJECTIVE, ScriptedGenerator, second

P99 = LoadObjective(target=0.99, threshold_seconds=0.1)


def run(plan: StepPlan, bad_of_hundred: int) -> Step:
    generator = ScriptedGenerator(lambda _rate, _second: second(100, bad_of_hundred))
    return run_step(generator, plan, [OBJECTIVE], lambda *_: None)


def test_search_is_short_if_the_verdict_is_clear() -> None:
    """A step that is met or missed ends with the first evaluation, an undecided one at the end."""
    plan = StepPlan.search(100, [OBJECTIVE], 5)
    assert (run(plan, 1).seconds, run(plan, 1).verdict) == (20, Verdict.MET)
    assert (run(plan, 9).seconds, run(plan, 9).verdict) == (20, Verdict.MISSED)
    undecided = run(plan, 5)
    assert (undecided.seconds, undecided.verdict, undecided.is_usable) == (
        60,
        Verdict.UNDECIDED,
        True,
    )


def test_hopeless_step_ends_at_once() -> None:
    """A step in which most requests are bad ends a second after the warm-up."""
    step = run(StepPlan.search(100, [OBJECTIVE], 5), 90)
    assert (step.seconds, step.verdict, step.ended_early) == (6, Verdict.MISSED, True)


def test_confirmation_does_not_end_when_it_looks_met() -> None:
    """A confirmation takes its whole time, unless the rate is missed."""
    plan = StepPlan.confirmation(100, [OBJECTIVE], 5, seconds_left=1000)
    assert run(plan, 1).seconds == 180
    assert run(plan, 9).seconds == 20
    short = StepPlan.confirmation(100, [OBJECTIVE], 5, seconds_left=150)
    assert short.max_seconds == 150
    assert StepPlan.confirmation(100, [OBJECTIVE], 5, seconds_left=1).max_seconds == 120


def test_low_rates_take_as_long_as_the_evidence_needs() -> None:
    """At one request per second, 99 % needs more than 299 seconds."""
    for plan in (
        StepPlan.search(1, [P99], 5),
        StepPlan.confirmation(1, [P99], 5, seconds_left=0),
    ):
        assert plan.min_seconds == pytest.approx(5 + 1.1 * 299)
        assert plan.max_seconds == plan.min_seconds


def test_error_limit_does_not_lengthen_a_step() -> None:
    """A limit of errors needs no evidence of thousands of requests."""
    limit = LoadObjective.error_limit(0.001)
    assert StepPlan.search(10, [OBJECTIVE, limit], 5).max_seconds == 60


def test_warm_up_of_slow_endpoints() -> None:
    """The warm-up is three latencies, and at least five seconds."""
    assert required_warm_up(0.1) == 5
    assert required_warm_up(10) == 30


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (LoadTestEnded(StopReason.MAX_REQUESTS), StopReason.MAX_REQUESTS),
        (KeyboardInterrupt(), StopReason.INTERRUPTED),
    ],
)
def test_end_of_the_test_keeps_the_measurements(error: BaseException, reason: StopReason) -> None:
    """A limit or Ctrl-C ends the step, and what was measured is in it."""

    class EndingGenerator(ScriptedGenerator):
        def measure(self, until: float) -> StepMeasurement:
            if until == 10 and error not in raised:
                raised.append(error)
                raise error
            return super().measure(until)

    def respond(_rate: float, _second: int) -> Counts:
        return second(100)

    raised: list[BaseException] = []
    generator = EndingGenerator(respond)
    step = run_step(generator, StepPlan.search(100, [OBJECTIVE], 5), [OBJECTIVE], lambda *_: None)
    assert step.stop_reason is reason
    assert step.evaluation.counts.offered == 400
