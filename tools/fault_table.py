"""Table of faults in README.md, from the catalogue in tests/faults."""

from probe.result import Reason
from tests.faults.catalogue import FAULTS
from tests.faults.fault import Fault
from tools.markdown import replace_between_marks, table

HEAD = ("fault", "result of the affected probe", "result of the other probe")


def readme_with_fault_table(readme: str) -> str:
    """Return the text of README.md with the current table."""
    return replace_between_marks(readme, "faults", table(HEAD, map(_row, FAULTS)).rstrip())


def _row(fault: Fault) -> tuple[str, ...]:
    skipped = "; ticks in between are skipped" if fault.skips_late_ticks else ""
    occasional = _names(fault.occasional_reasons)
    both = (f"; {occasional} at times" if occasional else "") + skipped
    faulty, healthy = _results(fault.reasons, fault.succeeds), _results(fault.healthy_reasons, True)
    return fault.name, faulty + both, healthy + both


def _results(reasons: frozenset[Reason], succeeds: bool) -> str:
    results = ([_names(reasons)] if reasons else []) + (["success"] if succeeds else [])
    return ", else ".join(results)


def _names(reasons: frozenset[Reason]) -> str:
    return ", ".join(f"`{reason}`" for reason in sorted(reasons))
