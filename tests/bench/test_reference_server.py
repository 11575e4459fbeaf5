"""The log of the reference server, and the errors of reported times."""

import pytest

from bench.reference_server import RequestLog, ServedRequest
from bench.workload import ReportedTimes, compare

SECOND = 1_000_000_000
LOG = RequestLog.parse(
    f"7 {102 * SECOND} 21000000 0\n7 {101 * SECOND} 20000000 400000\n8 {101 * SECOND} 25000000 0\n"
)


def test_probe_is_compared_with_its_own_request() -> None:
    """The request of a probe is the first one with its number that arrived after its start."""
    assert LOG.find(7, 100.995) == ServedRequest(101.0, 0.020, 0.0004)
    assert LOG.find(7, 101.5) == ServedRequest(102.0, 0.021, 0)
    assert LOG.find(8, 100.9) == ServedRequest(101.0, 0.025, 0)


def test_tolerance_of_the_start() -> None:
    """A start that is dated half a millisecond after the arrival still finds the request."""
    assert LOG.find(7, 101.0005) == ServedRequest(101.0, 0.020, 0.0004)


def test_request_that_never_arrived() -> None:
    """A probe without a request in the log has failed, also if it reports a success."""
    assert LOG.find(7, 103) is None
    report = ReportedTimes(number=9, started=100.9, wait=0.02, total=0.02)
    assert compare([report], LOG, since=0) == ([], 1)


def test_errors_are_reported_minus_true_times() -> None:
    """The error of `wait` is without the server's handshake, the error of the total with it."""
    report = ReportedTimes(number=7, started=100.9, wait=0.0203, total=0.0215)
    ((error,), failed) = compare([report], LOG, since=100)
    assert failed == 0
    assert error.wait == pytest.approx(0.0003)
    assert error.total == pytest.approx(0.0011)
    assert error.ended == pytest.approx(100.9215)


def test_failures_and_warm_up() -> None:
    """A failed probe is counted and has no error; a probe in the warm-up does not count."""
    failed = ReportedTimes(number=7, started=100.9, wait=None, total=2.0, failed=True)
    early = ReportedTimes(number=8, started=100.9, wait=0.03, total=0.03)
    assert compare([failed], LOG, since=100) == ([], 1)
    assert compare([early], LOG, since=101) == ([], 0)
