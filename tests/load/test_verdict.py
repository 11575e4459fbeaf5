"""Verdicts about steps."""

from dataclasses import replace

import pytest

from probe.load.measurement import Counts, StepMeasurement
from probe.load.objective import LoadObjective
from probe.load.verdict import Evaluation, Verdict, evaluate, is_clearly_missed
from probe.result import Reason, Signal
from tests.load.step_fixtures import OBJECTIVE, measurement, second

LIMIT = LoadObjective.error_limit(0.001)


def judge(*seconds: Counts) -> Evaluation:
    return evaluate(measurement(*seconds), [OBJECTIVE], warm_up_seconds=0)


@pytest.mark.parametrize(
    ("requests", "verdict"), [(58, Verdict.UNDECIDED), (59, Verdict.MET), (60, Verdict.MET)]
)
def test_met_needs_requests(requests: int, verdict: Verdict) -> None:
    """Less than 59 good requests are no evidence for 95 %."""
    assert judge(second(requests)).verdict is verdict


def test_more_requests_with_bad_ones() -> None:
    """With 3 % bad of 100 requests the upper bound is above 5 %, and with 1,000 below."""
    assert judge(second(100, 3)).verdict is Verdict.UNDECIDED
    assert judge(*[second(100, 3)] * 10).verdict is Verdict.MET


def test_missed() -> None:
    """A lower bound above the allowed share is a miss, from 20 requests on."""
    assert judge(second(20, 5)).verdict is Verdict.MISSED
    assert judge(second(19, 19)).verdict is Verdict.UNDECIDED
    assert judge(second(100, 6)).verdict is Verdict.UNDECIDED


def test_hopeless() -> None:
    """A step is hopeless if the lower bound exceeds three times the allowed share."""
    for bad, expected in ((20, False), (24, True)):
        counts = measurement(second(100, bad))
        assert is_clearly_missed(counts, [OBJECTIVE], warm_up_seconds=0) is expected


def test_warm_up_does_not_count() -> None:
    """Seconds of the warm-up are omitted, and so are requests that are not judged yet."""
    bad, good = second(100, 100), second(100)
    all_seconds = StepMeasurement(seconds=(bad, bad, good, good, bad), complete_until=4.9)
    evaluation = evaluate(all_seconds, [OBJECTIVE], warm_up_seconds=1.5)
    assert (evaluation.seconds, evaluation.counts.offered, evaluation.evidence[0].bad) == (
        2,
        200,
        0,
    )
    assert not is_clearly_missed(all_seconds, [OBJECTIVE], warm_up_seconds=1.5)


def test_nothing_measured_is_void() -> None:
    """A step without a counted request says nothing about the endpoint."""
    assert judge().verdict is Verdict.VOID


def test_few_requests_do_not_look_met() -> None:
    """A search does not go on with higher rates because of a few good requests."""
    assert not judge(second(19)).looks_met
    assert judge(second(20)).looks_met


def test_slowly_growing_queue_is_not_met() -> None:
    """A queue can grow while each request is good, and Little's law holds almost."""
    growing = [
        second(100, in_flight=5 + 0.1 * number, latency=0.05 + 0.001 * number)
        for number in range(60)
    ]
    evaluation = judge(*growing)
    assert evaluation.is_growing
    assert evaluation.verdict is Verdict.UNDECIDED
    assert not evaluation.looks_met


def test_growing_queue_is_not_met() -> None:
    """More requests in flight than rate x latency are a queue that grows."""
    steady, growing = second(100), second(100, in_flight=7.0)
    assert judge(steady).is_steady
    assert judge(growing).verdict is Verdict.UNDECIDED
    assert not judge(growing).looks_met


def test_requests_without_a_result_are_not_steady() -> None:
    """At least 95 % of the requests need a result."""
    assert judge(second(100, completed=95, in_flight=4.75)).is_steady
    assert not judge(second(100, completed=94, in_flight=4.7)).is_steady


def test_late_generator_is_void() -> None:
    """A delay of more than a tenth of the threshold makes the step void, also if it is missed."""
    assert judge(second(100, lag=0.009)).verdict is Verdict.MET
    assert judge(second(100, 100, lag=0.012)).verdict is Verdict.VOID


def test_generator_may_be_late_without_a_threshold() -> None:
    """Then a delay of a second makes a step void. The time per token has no start."""
    available = LoadObjective(target=0.95)
    per_token = LoadObjective(
        target=0.95, signal=Signal.TIME_PER_OUTPUT_TOKEN, threshold_seconds=0.04
    )
    for objective in (available, per_token):
        for lag, verdict in ((0.9, Verdict.MET), (1.1, Verdict.VOID)):
            counts = measurement(second(100, lag=lag))
            assert evaluate(counts, [objective], warm_up_seconds=0).verdict is verdict


def test_internal_failures_are_void() -> None:
    """Faults of the load generator's host say nothing about the endpoint."""
    assert judge(second(100, failed=1, reason=Reason.INTERNAL)).verdict is Verdict.MET
    assert judge(second(100, failed=2, reason=Reason.INTERNAL)).verdict is Verdict.VOID


def test_error_limit_compares_the_observed_share() -> None:
    """A limit of 0.1 % is kept by few requests without a failure, and not by one failure."""
    for failed, verdict in ((0, Verdict.MET), (1, Verdict.UNDECIDED)):
        counts = second(100, failed=failed)
        counts = replace(counts, events=counts.events * 2, bad=(0, failed))
        evaluation = evaluate(measurement(counts), [OBJECTIVE, LIMIT], warm_up_seconds=0)
        assert evaluation.verdict is verdict


def test_one_missed_objective_decides() -> None:
    """All objectives must be met, and the one that is missed is the limiting one."""
    counts = replace(second(100), events=(100, 100), bad=(0, 30))
    strict = LoadObjective(target=0.9, threshold_seconds=0.05)
    evaluation = evaluate(measurement(counts), [OBJECTIVE, strict], warm_up_seconds=0)
    assert evaluation.verdict is Verdict.MISSED
    assert evaluation.limiting.objective is strict


def test_limit_is_decisive_only_if_it_is_exceeded() -> None:
    """Few requests cannot show a small share of errors, so its bound is not reported."""
    for failed, limiting in ((0, OBJECTIVE), (1, LIMIT)):
        counts = replace(second(100), events=(100, 100), bad=(1, failed))
        evaluation = evaluate(measurement(counts), [OBJECTIVE, LIMIT], warm_up_seconds=0)
        assert evaluation.limiting.objective is limiting
