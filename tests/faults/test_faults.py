"""The daemon and its other probes survive every fault of the catalogue."""

from pathlib import Path

import pytest

from tests.faults.catalogue import FAULTS
from tests.faults.fault import Fault
from tests.faults.trial import DELAY_SECONDS, attempt

MAX_SHIFT_SECONDS = 0.005


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_fault(fault: Fault, tmp_path: Path) -> None:
    """The expected reasons occur, no tick is lost, and the other probe's median is correct."""
    outcome = attempt(fault, tmp_path)

    assert outcome.reasons - fault.chance == fault.reports
    assert outcome.succeeded is fault.succeeds
    assert outcome.others - fault.chance == fault.others
    # A busy machine also causes late ticks without a fault.
    assert outcome.late or not fault.late
    assert outcome.unbalanced == []
    assert abs(outcome.shift) < MAX_SHIFT_SECONDS
    assert outcome.fastest >= DELAY_SECONDS
    assert outcome.healthy
    assert outcome.code == 0
