"""Errors and acceptance criteria of the benchmark of streams."""

from dataclasses import replace

import pytest

from bench.accuracy_results import DAEMON
from bench.reference_server import ServedStream, StreamShape, parse_stream_log
from bench.stream_report import render_accuracies
from bench.stream_results import (
    FIRST_TOKEN_P50,
    FIRST_TOKEN_P99,
    GIL_HELD,
    TIME_PER_TOKEN,
    StreamAccuracy,
    evaluate,
)
from bench.stream_workload import (
    IDLE,
    ReportedStream,
    StreamRun,
    StreamTimeError,
    StreamWorkload,
    compare,
)
from bench.verdict import Verdict

SHAPE = StreamShape(first_token=0.05, tokens=11, gap=0.01)
SERVED = {3: ServedStream(0, 100.0, 0.05, 0.15)}


def test_log() -> None:
    """A line has the number of the path, the id of the stream, and three times."""
    assert parse_stream_log("7 3 100000000000 50000000 150000000\n") == {
        3: ServedStream(7, 100.0, 0.05, 0.15)
    }


def test_errors_are_reported_minus_true_times() -> None:
    """The error of the time per token is a share of the true time."""
    report = ReportedStream(id=3, first_token=0.052, time_per_token=0.0099)

    ((error,), failed) = compare([report], SERVED, SHAPE)

    assert failed == 0
    assert error.first_token == pytest.approx(0.002)
    assert error.time_per_token == pytest.approx(-0.01)


@pytest.mark.parametrize(
    "report",
    [
        ReportedStream(id=4, first_token=0.05, time_per_token=0.01),
        ReportedStream(id=3, first_token=None, time_per_token=0.01),
        ReportedStream(id=3, first_token=0.05, time_per_token=None),
    ],
    ids=["not in the log", "no first token", "no time per token"],
)
def test_failed_streams_are_counted(report: ReportedStream) -> None:
    """They have no error."""
    assert compare([report], SERVED, SHAPE) == ([], 1)


def accuracy(
    client: str, first_token_ms: float, *, percent: float = 0.1, workload: StreamWorkload = IDLE
) -> StreamAccuracy:
    error = StreamTimeError(first_token=first_token_ms / 1e3, time_per_token=percent / 100)
    run = StreamRun(errors=[error] * 10, cpu=1e-4)
    return StreamAccuracy(client=client, workload=workload, runs=(run, run))


def verdicts(*accuracies: StreamAccuracy) -> dict[str, Verdict]:
    return {verdict.criterion: verdict for verdict in evaluate(accuracies)}


def test_the_best_peer_is_the_baseline() -> None:
    """The p99 of the first token is at most 0.3 of its p99."""
    found = verdicts(accuracy(DAEMON, 0.9), accuracy("a", 4.0), accuracy("b", 2.0))

    assert found[FIRST_TOKEN_P99].baseline == pytest.approx(2.0)
    assert not found[FIRST_TOKEN_P99].met
    assert verdicts(accuracy(DAEMON, 0.5), accuracy("b", 2.0))[FIRST_TOKEN_P99].met


@pytest.mark.parametrize(
    ("first_token_ms", "percent", "met"), [(0.1, -0.4, True), (0.3, -0.6, False)]
)
def test_bounds_without_a_peer(first_token_ms: float, percent: float, met: bool) -> None:
    """At most 0.2 ms, and 0.5 % in both directions."""
    found = verdicts(accuracy(DAEMON, first_token_ms, percent=percent))

    assert found[FIRST_TOKEN_P50].met is met
    assert found[TIME_PER_TOKEN].met is met
    assert FIRST_TOKEN_P99 not in found


def test_gil_held() -> None:
    """The error with the GIL held is at most twice that without."""
    held = replace(IDLE, gil=True)
    idle = accuracy(DAEMON, 0.05)

    assert verdicts(idle, accuracy(DAEMON, 0.09, workload=held))[GIL_HELD].met
    assert not verdicts(idle, accuracy(DAEMON, 0.11, workload=held))[GIL_HELD].met


def test_client_without_a_successful_stream() -> None:
    """It is in the table, and in no verdict."""
    failed = StreamAccuracy(client="a", workload=IDLE, runs=(StreamRun(failed=4),))
    accuracies = (accuracy(DAEMON, 0.1), failed)

    assert FIRST_TOKEN_P99 not in verdicts(*accuracies)
    assert "| a " in render_accuracies(accuracies, list(evaluate(accuracies)), "head")
