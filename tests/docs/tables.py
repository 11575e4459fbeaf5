"""Tables in Markdown."""

from collections.abc import Iterable


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """One line a row; a `|` in a cell stays in its cell."""
    lines = [_line(head), _line(("---",) * len(head)), *map(_line, rows)]
    return "".join(lines)


def _line(cells: tuple[str, ...]) -> str:
    return "".join(f"| {cell.replace('|', chr(92) + '|')} " for cell in cells) + "|\n"
