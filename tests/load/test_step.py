"""Length and end of steps."""

import pytest

from probe.load.measurement import Counts, StepMeasurement
from probe.load.objective import LoadObjective
from probe.load.step import StepPlan, StepPlanner, run_step
from probe.load.stop import LoadTestEnded, StopReason
from probe.load.verdict import Verdict
from tests.load.step_fixtures import OBJECTIVE, ScriptedGenerator, second

P99 = LoadObjective(target=0.99, threshold_seconds=0.1)


FAST = StepPlanner(objectives=[OBJECTIVE], latency_seconds=0.05)
SLOW = StepPlanner(objectives=[OBJECTIVE], latency_seconds=2.0)


def run(plan: StepPlan, bad_of_hundred: int) -> tuple[int, Verdict]:
    """Return the counted seconds and the verdict of a step with 100 requests per second."""
    generator = ScriptedGenerator(lambda _rate, _second: second(100, bad_of_hundred))
    step = run_step(generator, plan, [OBJECTIVE], lambda *_: None)
    return step.evaluation.seconds, step.verdict


def test_search_is_short_if_the_verdict_is_clear() -> None:
    """A step that is met or missed ends with the first evaluation, an undecided one at the end."""
    plan = FAST.plan_search(100)
    assert run(plan, 1) == (15, Verdict.MET)
    assert run(plan, 9) == (15, Verdict.MISSED)
    assert run(plan, 5) == (55, Verdict.UNDECIDED)


def test_step_that_is_missed_by_far_ends_at_once() -> None:
    """A step in which most requests are bad ends a second after the warm-up."""
    assert run(FAST.plan_search(100), 90) == (1, Verdict.MISSED)


def test_confirmation_does_not_end_when_it_looks_met() -> None:
    """A confirmation takes its whole time, unless the rate is missed."""
    plan = FAST.plan_confirmation(100, seconds_left=1000)
    assert run(plan, 1) == (180, Verdict.MET)
    assert run(plan, 9) == (15, Verdict.MISSED)
    assert FAST.plan_confirmation(100, seconds_left=150).max_seconds == 150
    assert FAST.plan_confirmation(100, seconds_left=1).max_seconds == 5 + 120


def test_low_rates_take_as_long_as_the_evidence_needs() -> None:
    """At one request per second, 99 % needs more than 299 seconds."""
    planner = StepPlanner(objectives=[P99], latency_seconds=0.05)
    for plan in (planner.plan_search(1), planner.plan_confirmation(1, seconds_left=0)):
        assert plan.min_seconds == plan.max_seconds == pytest.approx(5 + 1.1 * 299)


def test_error_limit_does_not_lengthen_a_step() -> None:
    """A limit of errors needs no evidence of thousands of requests."""
    objectives = [OBJECTIVE, LoadObjective.error_limit(0.001)]
    planner = StepPlanner(objectives=objectives, latency_seconds=0.05)
    assert planner.plan_search(10) == FAST.plan_search(10)


def test_steps_of_slow_endpoints_are_longer() -> None:
    """Warm-up, search and confirmation are multiples of the latency."""
    assert SLOW.plan_search(10).warm_up_seconds == 20
    assert SLOW.plan_search(10).min_seconds == 20 + 60
    assert SLOW.plan_confirmation(10, seconds_left=1000).max_seconds == 20 + 600
    assert SLOW.plan_confirmation(10, seconds_left=0).max_seconds == 20 + 300


def test_fixed_duration() -> None:
    """The duration of a step can be given. The warm-up is not part of it."""
    planner = StepPlanner(objectives=[OBJECTIVE], latency_seconds=2.0, fixed_seconds=7)
    assert planner.plan_search(10).max_seconds == 20 + 7


def test_first_rate() -> None:
    """It is half the rate of one client, and enough for a verdict within a minute."""
    assert FAST.default_first_rate == 10
    assert SLOW.default_first_rate == pytest.approx(1.1 * 59 / 55)


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
    step = run_step(generator, FAST.plan_search(100), [OBJECTIVE], lambda *_: None)
    assert step.stop_reason is reason
    assert step.evaluation.counts.offered == 400
