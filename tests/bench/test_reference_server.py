"""What the endpoint says that it took, and which probe it took it for."""

import pytest

from bench.reference_server import Log, Served
from bench.workload import Claim, compare

SECOND = 1_000_000_000
LOG = Log.read(
    f"7 {102 * SECOND} 21000000 0\n7 {101 * SECOND} 20000000 400000\n8 {101 * SECOND} 25000000 0\n"
)


def test_a_probe_is_compared_with_its_own_request() -> None:
    """A probe finds the first request of its number that arrived after it started."""
    assert LOG.find(7, 100.995) == Served(101.0, 0.020, 0.0004)
    assert LOG.find(7, 101.5) == Served(102.0, 0.021, 0)
    assert LOG.find(8, 100.9) == Served(101.0, 0.025, 0)


def test_a_date_that_is_off_a_little_does_no_harm() -> None:
    """A start that was dated half a millisecond after the arrival still finds its request."""
    assert LOG.find(7, 101.0005) == Served(101.0, 0.020, 0.0004)


def test_a_request_that_never_arrived() -> None:
    """A probe whose request never arrived finds none, and has failed whatever it says."""
    assert LOG.find(7, 103) is None
    lost = Claim(number=9, started=100.9, wait=0.02, total=0.02)
    assert compare([lost], LOG, since=0) == ([], 1)


def test_errors_are_what_is_claimed_less_the_truth() -> None:
    """The errors of wait and total are what the prober says less what the server took, of the
    total also less its half of the handshake.
    """
    claim = Claim(number=7, started=100.9, wait=0.0203, total=0.0215)
    ((error,), failed) = compare([claim], LOG, since=100)
    assert failed == 0
    assert error.wait == pytest.approx(0.0003)
    assert error.total == pytest.approx(0.0011)
    assert error.ended == pytest.approx(100.9215)


def test_failures_are_counted_and_the_warm_up_is_not() -> None:
    """A failed probe has no error; one that started in the warm-up does not count at all."""
    failed = Claim(number=7, started=100.9, wait=None, total=2.0, failed=True)
    early = Claim(number=8, started=100.9, wait=0.03, total=0.03)
    assert compare([failed], LOG, since=100) == ([], 1)
    assert compare([early], LOG, since=101) == ([], 0)
