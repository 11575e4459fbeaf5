"""The daemon lives through every fault of the catalogue, and so do its other probes."""

from pathlib import Path

import pytest

from tests.faults.catalogue import FAULTS
from tests.faults.fault import Fault
from tests.faults.trial import DELAY, attempt

SHIFT = 0.005


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_the_daemon_lives_on(fault: Fault, tmp_path: Path) -> None:
    """It says why, loses no tick, and a neighbour's median moves by less than 5 ms."""
    outcome = attempt(fault, tmp_path)

    assert outcome.struck - fault.chance == fault.reports
    assert outcome.succeeded is fault.succeeds
    assert outcome.others - fault.chance == fault.others
    assert outcome.late or not fault.late  # a busy machine is late without any fault
    assert outcome.unbalanced == []
    assert abs(outcome.shift) < SHIFT
    assert outcome.fastest >= DELAY
    assert outcome.healthy
    assert outcome.code == 0
