"""Parts of Markdown documents."""

from collections.abc import Iterable


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table with one line per row. A `|` in a cell is escaped."""
    lines = [_line(head), _line(("---",) * len(head)), *map(_line, rows)]
    return "".join(lines)


def replace_between_marks(text: str, mark: str, content: str) -> str:
    """Return `text` with `content` between `<!-- mark -->` and `<!-- end of mark -->`.

    Raises ValueError if `text` has no such marks.
    """
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    if begin not in text or end not in text:
        raise ValueError(f"there is no place for the results: write {begin} and {end}")
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def _line(cells: tuple[str, ...]) -> str:
    return "".join(f"| {cell.replace('|', chr(92) + '|')} " for cell in cells) + "|\n"
