"""Counts of one step in one process, and the sum of several processes."""

import math
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.load.measurement import Counts, LatencyHistogram, total
from probe.load.objective import LoadObjective
from probe.load.recorder import Report, StepRecorder
from probe.result import Component, Phase, Reason, Result, Signal, TokenCounts
from tests.builders import MEASURED_STREAM, make_result

FAST = LoadObjective(target=0.95, threshold_seconds=0.1)
SLOW = LoadObjective(target=0.99, threshold_seconds=1.0)
FEW_ERRORS = LoadObjective.error_limit(0.001)
FIRST_TOKEN = LoadObjective(target=0.95, signal=Signal.TIME_TO_FIRST_TOKEN, threshold_seconds=0.1)


def _run(recorder: StepRecorder, due: float, result: Result, *, lag: float = 0.0) -> None:
    recorder.finish(recorder.start(due, math.inf), lag, result)


def _report(recorder: StepRecorder, now: float = 10.0) -> Counts:
    return total(recorder.report(now).seconds.values())


def test_a_success() -> None:
    """All times and tokens of a success are counted in the second in which it was due."""
    recorder = StepRecorder([FAST, SLOW], 2.5)
    result = make_result(
        phases={Phase.CONNECT: 0.1, Phase.WAIT: 0.2},
        server={Component.QUEUE: 0.05},
        usage=TokenCounts(input=7, output=4),
    )
    _run(recorder, 2.5, result, lag=0.01)
    report = recorder.report(4.0)
    counts = report.seconds[2]

    assert (counts.offered, counts.completed, counts.failed) == (1, 1, 0)
    assert (counts.events, counts.bad) == ((1, 1), (1, 0))
    assert counts.latencies.at_rank(1) == pytest.approx(0.31, rel=0.01)
    assert counts.lags.at_rank(1) == pytest.approx(0.01, rel=0.01)
    assert counts.latency_seconds == pytest.approx(0.31)
    assert counts.in_flight_seconds == pytest.approx(0.31)
    assert counts.phases == {Phase.CONNECT: 0.1, Phase.WAIT: 0.2}
    assert counts.components == {Component.QUEUE: 0.05}
    assert counts.tokens == 11
    assert sum(report.seconds[second].offered for second in (0, 1, 3)) == 0


def test_results_are_counted_in_batches() -> None:
    """Each report has all results, and results do not pile up between two reports."""
    recorder = StepRecorder([FAST], 0.0)
    result = make_result(latency=0.01)
    references = sys.getrefcount(result)
    for _ in range(1000):
        _run(recorder, 0.5, result)

    assert sys.getrefcount(result) - references < 100

    for completed in range(1001, 1005):
        _run(recorder, 0.5, result)
        report = recorder.report(2.0)
        assert report.seconds[0].completed == report.seconds[0].latencies.count == completed
        assert report.in_flight == 0


def test_latency_counts_from_the_due_time() -> None:
    """A late start can make a fast response bad."""
    recorder = StepRecorder([FAST], 0.0)
    _run(recorder, 0.0, make_result(latency=0.09), lag=0.005)
    _run(recorder, 0.5, make_result(latency=0.09), lag=0.02)

    assert _report(recorder).bad == (1,)


def test_a_failure_is_bad_for_each_objective() -> None:
    """It has a reason and no latency, but it was in flight."""
    recorder = StepRecorder([FAST, FEW_ERRORS], 0.0)
    _run(recorder, 0.0, make_result(latency=0.01, reason=Reason.OVERLOADED))
    counts = _report(recorder)

    assert (counts.completed, counts.failures) == (1, {Reason.OVERLOADED: 1})
    assert (counts.events, counts.bad) == ((1, 1), (1, 1))
    assert counts.latencies.count == 0
    assert counts.latency_seconds == pytest.approx(0.01)


def test_internal_failures_are_no_events() -> None:
    """The endpoint is not responsible for a fault of this machine."""
    recorder = StepRecorder([FAST, FEW_ERRORS], 0.0)
    _run(recorder, 0.0, make_result(reason=Reason.INTERNAL))
    recorder.fail_start(recorder.start(0.5, math.inf), 0.25)
    counts = _report(recorder)

    assert (counts.offered, counts.completed, counts.failures[Reason.INTERNAL]) == (2, 2, 2)
    assert (counts.events, counts.bad) == ((0, 0), (0, 0))


def test_a_success_without_the_signal_is_no_event() -> None:
    """An objective on the first token has an event only if there is one."""
    recorder = StepRecorder([FIRST_TOKEN, FEW_ERRORS], 0.0)
    _run(recorder, 0.0, make_result())
    _run(recorder, 0.1, make_result(stream=MEASURED_STREAM))

    assert _report(recorder).events == (1, 2)


def test_dropped_requests_are_bad() -> None:
    """They were due, so the endpoint did not serve them."""
    recorder = StepRecorder([FAST, FEW_ERRORS], 0.0)
    recorder.drop(0.5, math.inf)
    counts = _report(recorder)

    assert (counts.offered, counts.dropped, counts.completed) == (1, 1, 0)
    assert (counts.events, counts.bad) == ((1, 1), (1, 1))


def test_an_overdue_request_is_bad_at_once_and_counted_once() -> None:
    """It is bad before its result, for the objectives that it misses."""
    recorder = StepRecorder([FAST, SLOW, FEW_ERRORS], 0.0)
    number = recorder.start(0.5, math.inf)

    assert recorder.report(0.55).seconds[0].events == (0, 0, 0)
    assert recorder.report(1.0).seconds[0].bad == (1, 0, 0)
    overdue = recorder.report(2.0).seconds[0]
    assert (overdue.events, overdue.bad) == ((1, 1, 0), (1, 1, 0))

    recorder.finish(number, 0.0, make_result(latency=2.0))
    finished = recorder.report(3.0).seconds[0]
    assert (finished.events, finished.bad) == ((1, 1, 1), (1, 1, 0))


def test_the_result_decides_about_an_overdue_request() -> None:
    """The measured latency does not have the delays of this process."""
    recorder = StepRecorder([FAST], 0.0)
    number = recorder.start(0.0, math.inf)
    assert recorder.report(0.101).seconds[0].bad == (1,)

    recorder.finish(number, 0.0, make_result(latency=0.0999))
    assert recorder.report(0.2).seconds[0].bad == (0,)


@pytest.mark.parametrize(
    ("objectives", "complete_until"),
    [([FAST], 1.8), ([FAST, SLOW], 0.9), ([FAST, FEW_ERRORS], 0.3), ([], 0.3)],
)
def test_complete_until(objectives: Sequence[LoadObjective], complete_until: float) -> None:
    """The first request in flight that can still be good for an objective limits it."""
    recorder = StepRecorder(objectives, 0.3)
    for due in (0.3, 0.9, 1.8):
        recorder.start(due, 3.0)

    assert recorder.report(1.85).complete_until == complete_until


def test_complete_until_the_next_request() -> None:
    """A request that is due and has not started is not judged, whatever the delay."""
    recorder = StepRecorder([FAST], 0.4)
    assert recorder.report(0.3).complete_until == 0.3
    assert recorder.report(5.0).complete_until == 0.4

    recorder.drop(0.4, 7.0)
    assert recorder.report(5.0).complete_until == 5.0
    assert recorder.report(6.0, end=5.5).complete_until == 5.5


def test_only_changed_seconds_are_reported() -> None:
    """A report is small, also in a long step."""
    recorder = StepRecorder([FAST], 0.0)
    _run(recorder, 0.2, make_result())
    hanging = recorder.start(1.2, math.inf)

    assert set(recorder.report(3.5).seconds) == {0, 1, 2, 3}
    # Second 1 has a request that is overdue.
    assert set(recorder.report(4.5).seconds) == {1, 3, 4}
    recorder.finish(hanging, 0.0, make_result(latency=1.0))
    # It has ended in second 2.
    assert set(recorder.report(4.6).seconds) == {1, 2, 3, 4}
    assert set(recorder.report(4.7).seconds) == {4}


def test_no_seconds_after_the_end_are_reported() -> None:
    """Requests that end after the last one was due belong to its second."""
    recorder = StepRecorder([FAST], 0.0)
    number = recorder.start(1.2, math.inf)
    recorder.report(1.5)
    recorder.finish(number, 0.0, make_result(latency=2.0))
    report = recorder.report(4.0, end=1.5)

    assert set(report.seconds) == {1}
    assert report.seconds[1].completed == 1


def test_requests_in_flight_count_until_now() -> None:
    """The integral grows while a request is in flight, and is corrected by its latency."""
    recorder = StepRecorder([SLOW], 0.0)
    number = recorder.start(0.75, math.inf)

    assert recorder.report(1.5).seconds[1].in_flight_seconds == pytest.approx(0.5)
    integrals = recorder.report(2.25).seconds
    assert integrals[1].in_flight_seconds == pytest.approx(1.0)
    assert integrals[2].in_flight_seconds == pytest.approx(0.25)

    recorder.finish(number, 0.0, make_result(latency=1.0))
    integrals = recorder.report(3.0).seconds
    assert integrals[1].in_flight_seconds == pytest.approx(0.75)
    assert integrals[2].in_flight_seconds == pytest.approx(0.0)


requests = st.lists(
    st.tuples(
        st.floats(0, 5),
        st.floats(0, 3),
        st.sampled_from([None, Reason.RESET, Reason.INTERNAL]),
        st.integers(0, 3),
    ),
    max_size=40,
)


def _reports(parts: Sequence[Sequence[tuple[float, float, Reason | None]]]) -> list[Report]:
    """Return the last report of each of several processes; those before are merged into it."""
    reports = []
    for part in parts:
        recorder = StepRecorder([FAST, SLOW, FEW_ERRORS], 0.0)
        seconds: dict[int, Counts] = {}
        for due, latency, reason in sorted(part, key=lambda request: request[0]):
            number = recorder.start(due, math.inf)
            seconds |= recorder.report(due).seconds
            recorder.finish(number, latency / 10, make_result(latency=latency, reason=reason))
        last = recorder.report(9.0)
        reports.append(Report(seconds={**seconds, **last.seconds}, complete_until=9.0, in_flight=0))
    return reports


@given(requests)
def test_any_division_among_processes_has_the_same_counts(
    divided: list[tuple[float, float, Reason | None, int]],
) -> None:
    """Counts of all processes, added by second, are those of one process."""
    parts = [
        [(due, latency, reason) for due, latency, reason, process in divided if process == index]
        for index in range(4)
    ]
    [alone] = _reports([[request for part in parts for request in part]])
    merged = _reports(parts)

    for second in range(10):
        expected = alone.seconds[second]
        actual = total(report.seconds[second] for report in merged)
        for name in ("offered", "completed", "failures", "events", "bad", "tokens"):
            assert getattr(actual, name) == getattr(expected, name)
        for name in ("latency_seconds", "in_flight_seconds"):
            assert getattr(actual, name) == pytest.approx(getattr(expected, name), abs=1e-9)
        for histogram in ("latencies", "lags"):
            assert _ranks(getattr(actual, histogram)) == _ranks(getattr(expected, histogram))


def _ranks(histogram: LatencyHistogram) -> list[float]:
    return [histogram.at_rank(rank + 1) for rank in range(histogram.count)]
