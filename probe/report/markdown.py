"""The report as Markdown, which is also readable in a terminal."""

import re
from collections.abc import Iterable, Iterator, Sequence

from probe.report.report import ObjectiveReport, SlaReport
from probe.report.tables import (
    Table,
    coverage_table,
    dimensions_table,
    excluded_table,
    hours_table,
    incidents_table,
    objectives_table,
    pages_table,
    phases_table,
    times_table,
)
from probe.report.wording import (
    COVERAGE_NOTE,
    METHOD,
    PHASES_NOTE,
    STATUS_TEXTS,
    TIMES_NOTE,
    format_counts,
    gap_sentences,
    objective_name,
    period_text,
    phase_sentences,
    provenance_sentences,
    status_sentences,
    title,
)


def render_markdown(report: SlaReport) -> str:
    return "\n".join(_lines(report)) + "\n"


def _lines(report: SlaReport) -> Iterator[str]:
    yield f"# {title(report)}: {STATUS_TEXTS[report.status]}"
    yield ""
    yield period_text(report.period)
    yield ""
    yield from (f"- {_escape(sentence)}" for sentence in status_sentences(report))
    yield from _section("Objectives", objectives_table(report))
    for objective in report.objectives:
        yield from _objective(objective, report)
    yield from _section("Coverage", coverage_table(report), COVERAGE_NOTE, gap_sentences(report))
    yield from _section("Not counted", excluded_table(report))
    yield from _section("Times of successes", times_table(report), TIMES_NOTE)
    yield from _section(
        "Phases compared with earlier", phases_table(report), PHASES_NOTE, phase_sentences(report)
    )
    yield from _section("Versions, segments and payloads", dimensions_table(report))
    yield from _section("Pages outside of incidents", pages_table(report))
    yield from _provenance(report)


def _objective(objective: ObjectiveReport, report: SlaReport) -> Iterator[str]:
    name = objective_name(objective, report)
    if objective.status_reason:
        yield from ("", f"## {_escape(name)}", "")
        yield f"Not enough data: {objective.status_reason}."
    elif objective.events.bad:
        yield from ("", f"## {_escape(name)}")
    if objective.reasons:
        yield ""
        yield f"Bad requests: {format_counts(objective.reasons)}."
    yield from _titled("Incidents", incidents_table(objective))
    yield from _titled("Worst hours", hours_table(objective))


def _section(
    heading: str, table: Table, note: str = "", sentences: Iterable[str] = ()
) -> Iterator[str]:
    lines = list(sentences)
    if table.rows or lines:
        yield from ("", f"## {heading}")
    if table.rows:
        if note:
            yield from ("", note)
        yield ""
        yield from _table(table)
    for sentence in lines:
        yield from ("", _escape(sentence))


def _titled(heading: str, table: Table) -> Iterator[str]:
    if table.rows:
        yield from ("", f"{heading}:", "")
        yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    rows = [[_escape(cell) for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        yield f"| {' | '.join(_aligned(row, widths, table.first_number))} |"
        if number == 0:
            rules = [
                "-" * (width - 1) + (":" if index >= table.first_number else "-")
                for index, width in enumerate(widths)
            ]
            yield f"| {' | '.join(rules)} |"


def _aligned(row: Sequence[str], widths: Sequence[int], first_number: int) -> Iterator[str]:
    for index, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.rjust(width) if index >= first_number else cell.ljust(width)


def _provenance(report: SlaReport) -> Iterator[str]:
    yield from ("", "## Method", "", METHOD, "")
    yield from (f"- {_escape(sentence)}" for sentence in provenance_sentences(report))


def _escape(text: str) -> str:
    """Return text without characters that Markdown or a terminal interprets."""
    text = "".join(char if char.isprintable() else " " for char in text)
    return re.sub(r"([\\|<>*_`\[\]#])", r"\\\1", text)
