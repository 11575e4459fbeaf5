"""The table in README.md, from the catalogue of faults: python -m tests.faults.table."""

from pathlib import Path

from probe.result import Reason
from tests.faults.catalogue import FAULTS
from tests.faults.fault import Fault

PAGE = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- faults -->\n", "<!-- end of faults -->\n"

HEAD = ("what goes wrong", "what the probe of it reports", "what its neighbour reports")


def table() -> str:
    """In Markdown; a row for each fault."""
    rows = [HEAD, ("---",) * len(HEAD), *map(_row, FAULTS)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(fault: Fault) -> tuple[str, ...]:
    late = "; ticks in between are skipped" if fault.late else ""
    chance = f"; {_names(fault.chance)} at times" if fault.chance else ""
    struck = _said(fault.reports, fault.succeeds)
    return fault.name, struck + chance + late, _said(fault.others, True) + chance + late


def _said(reasons: frozenset[Reason], succeeds: bool) -> str:
    words = ([_names(reasons)] if reasons else []) + (["success"] if succeeds else [])
    return ", else ".join(words)


def _names(reasons: frozenset[Reason]) -> str:
    return ", ".join(f"`{reason}`" for reason in sorted(reasons))


def written(page: str) -> str:
    """The page with the table of today between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
