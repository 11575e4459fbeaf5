"""Does a fault move what is reported of another endpoint? python -m bench.faults.

Tries every fault of the catalogue, those of endpoints and those of the daemon's own machine, as the
tests do, with more probes of the healthy neighbour and a bound of 1 ms. Exit code 0 when its median
is within it each time, 1 when it is not or a fault did not come to its end.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.readme import publish
from bench.report import table, where
from tests.faults.catalogue import FAULTS
from tests.faults.endpoints import endpoint
from tests.faults.fault import Fault
from tests.faults.machine import WELL
from tests.faults.trial import attempt

BOUND = 1.0
"""Milliseconds between the median that is reported of the neighbour and what it really took."""

PROBES = 100
"""Of the neighbour, while a fault lasts or comes and goes."""

NOTHING = Fault(name="nothing, for comparison", stage=endpoint(WELL), succeeds=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of a fault."""

    name: str
    shift: float | None
    """Milliseconds; None where it did not come to its end."""

    @property
    def met(self) -> bool:
        return self.shift is not None and abs(self.shift) <= BOUND


def main() -> int:
    argparse.ArgumentParser("python -m bench.faults", description=__doc__).parse_args()
    found = [_try(fault) for fault in (NOTHING, *FAULTS)]
    text = _markdown(found)
    print(text)
    publish("faults", text)
    met = all(one.met for one in found)
    _tell("every bound is met" if met else "a bound is missed: see the table")
    return 0 if met else 1


def _try(fault: Fault) -> Found:
    shift = None
    with tempfile.TemporaryDirectory() as directory:
        try:
            shift = attempt(fault, Path(directory), successes=PROBES).shift * 1e3
        except AssertionError as error:
            _tell(f"{fault.name}: {error}")
        else:
            _tell(f"{fault.name}: {shift:+.2f} ms")
    return Found(name=fault.name, shift=shift)


def _markdown(found: Sequence[Found]) -> str:
    head = ("what goes wrong", "the neighbour's median, off by", "at most", "met")
    return f"{where()}; {PROBES} probes or more of the neighbour each.\n\n" + table(
        head, [_row(one) for one in found]
    )


def _row(one: Found) -> tuple[str, ...]:
    shift = "did not end" if one.shift is None else f"{one.shift:+.2f} ms"
    return one.name, shift, f"{BOUND:g} ms", "yes" if one.met else "**no**"


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
