"""The results as Markdown, and their place in bench/README.md."""

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tools.markdown import replace_between_marks

README = Path(__file__).with_name("README.md")


def publish(mark: str, text: str, readme: Path = README) -> None:
    """Replace the results between the marks; raise ValueError if there are no marks."""
    readme.write_text(replace_between_marks(readme.read_text(), mark, text))


def environment() -> str:
    """Return the date and the machine, for the head of a section of results."""
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"date: {datetime.now(UTC).date()}; machine: {os.cpu_count()} cores, {system}"


def format_number(value: float) -> str:
    """Return `value` with three decimals below 10, one from 10 on, and none if it is whole."""
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.{3 if abs(value) < 10 else 1}f}"


def aligned_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose columns are aligned also in the source."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    aligned = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([aligned[0], rule, *aligned[1:]])
