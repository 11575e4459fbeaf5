"""Measure whether a fault changes the reported latency of another endpoint: python -m bench.faults.

Runs each fault of the catalogue (of endpoints, of the name server and of the daemon's machine) with
a daemon for each, as the tests do, but with more runs of the healthy probe and a bound of 1 ms. The
exit code is 0 if its median is within the bound for each fault, else 1.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.markdown import aligned_table, environment, publish
from tests.faults.catalogue import FAULTS
from tests.faults.endpoints import endpoint
from tests.faults.fault import Fault
from tests.faults.machine import HEALTHY_ENDPOINT
from tests.faults.run import run_faults

# Largest difference between the reported median of the healthy probe and the true one.
MAX_SHIFT_MS = 1.0

# Runs of the healthy probe during a fault.
RUNS = 100

NO_FAULT = Fault(name="nothing, for comparison", setup=endpoint(HEALTHY_ENDPOINT), succeeds=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Effect of a fault on the healthy probe."""

    fault: str
    milliseconds: float | None
    """Reported minus true median; None if the run failed."""

    @property
    def met(self) -> bool:
        return self.milliseconds is not None and abs(self.milliseconds) <= MAX_SHIFT_MS


def main() -> int:
    argparse.ArgumentParser("python -m bench.faults", description=__doc__).parse_args()
    shifts = [_measure(fault) for fault in (NO_FAULT, *FAULTS)]
    text = _markdown(shifts)
    print(text)
    publish("faults", text)
    met = all(shift.met for shift in shifts)
    _report("every bound is met" if met else "a bound is missed: see the table")
    return 0 if met else 1


def _measure(fault: Fault) -> Shift:
    milliseconds = None
    with tempfile.TemporaryDirectory() as directory:
        try:
            report = run_faults([fault], Path(directory), successes=RUNS)
        except AssertionError as error:
            _report(f"{fault.name}: {error}")
        else:
            milliseconds = report.shift_seconds * 1e3
            _report(f"{fault.name}: {milliseconds:+.2f} ms")
    return Shift(fault=fault.name, milliseconds=milliseconds)


def _markdown(shifts: Sequence[Shift]) -> str:
    head = ("fault", "error of the healthy probe's median", "bound", "met")
    rows = [_row(shift) for shift in shifts]
    return f"{environment()}; at least {RUNS} runs of the healthy probe each.\n\n" + aligned_table(
        head, rows
    )


def _row(shift: Shift) -> tuple[str, ...]:
    error = "failed" if shift.milliseconds is None else f"{shift.milliseconds:+.2f} ms"
    return shift.fault, error, f"{MAX_SHIFT_MS:g} ms", "yes" if shift.met else "**no**"


def _report(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
