"""The daemon and its other probes keep working during each fault of the catalogue."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.catalogue import FAULTS, SHARED_FAULTS
from tests.faults.fault import Fault
from tests.faults.machine import STOP_SECONDS
from tests.faults.run import DELAY_SECONDS, HEALTHY_INTERVAL_SECONDS, RunReport, run_faults

pytestmark = pytest.mark.timing

MAX_SHIFT_SECONDS = 0.005

# By default, the faults that can share a daemon are tested together; with --full one by one, too.
ISOLATED = [
    pytest.param(
        fault,
        id=fault.probe_name,
        marks=pytest.mark.full if fault in SHARED_FAULTS else (),
    )
    for fault in FAULTS
]


def test_faults_on_one_daemon_affect_only_their_probes(tmp_path: Path) -> None:
    """Each faulty probe has exactly its reasons, and the healthy probe only successes."""
    report = run_faults(SHARED_FAULTS, tmp_path)

    assert_expected(report, SHARED_FAULTS)


@pytest.mark.parametrize("fault", ISOLATED)
def test_a_fault_does_not_change_the_latency_of_another_probe(fault: Fault, tmp_path: Path) -> None:
    """The healthy probe's median latency moves by less than 5 ms, with one daemon per fault."""
    report = run_faults([fault], tmp_path)

    assert_expected(report, [fault])
    assert abs(report.shift_seconds) < MAX_SHIFT_SECONDS
    if fault.skips_late_ticks:  # at least the healthy probe's ticks during one stop
        assert report.late_ticks >= STOP_SECONDS / HEALTHY_INTERVAL_SECONDS - 2


def assert_expected(report: RunReport, faults: Sequence[Fault]) -> None:
    """Check the reasons of all probes, and that the daemon is healthy and exits in order."""
    occasional = frozenset().union(*(fault.occasional_reasons for fault in faults))
    healthy_reasons = frozenset().union(*(fault.healthy_reasons for fault in faults))
    for fault in faults:
        faulty = report.faulty[fault.name]
        assert faulty.reasons - fault.occasional_reasons == fault.reasons, fault.name
        assert faulty.succeeded is fault.succeeds, fault.name
    assert report.healthy.reasons - occasional == healthy_reasons
    assert report.healthy.succeeded
    assert report.unbalanced == []
    assert report.min_latency_seconds >= DELAY_SECONDS
    assert report.daemon_healthy
    assert report.exit_code == 0
