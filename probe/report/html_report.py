"""The report as one HTML file with charts."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from probe.charts.page import render_page
from probe.report.objective_charts import (
    BadShareChart,
    BudgetChart,
    bad_share_chart,
    budget_chart,
)
from probe.report.report import ObjectiveReport, ProbeReport, SlaReport
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
    describe_objective,
    format_counts,
    format_interval,
    format_percentage,
    gap_sentences,
    objective_name,
    period_text,
    phase_sentences,
    provenance_sentences,
    status_sentences,
    title,
)

TEMPLATE = Path(__file__).parent / "templates" / "report.html.j2"


@dataclass(frozen=True, slots=True, kw_only=True)
class _ObjectiveSection:
    """The texts, charts and tables of one objective."""

    name: str
    requirement: str
    status: str
    status_reason: str | None
    attainment: str | None
    interval: str
    reasons: str
    budget: BudgetChart | None
    bad_share: BadShareChart | None
    incidents: Table
    hours: Table


def render_html(report: SlaReport) -> str:
    """Return a page that needs no other file and no script."""
    return render_page(
        TEMPLATE,
        {},
        {
            "title": title(report),
            "period": period_text(report.period),
            "created": datetime.fromtimestamp(int(report.created), UTC),
            "status": STATUS_TEXTS[report.status],
            "sentences": list(status_sentences(report)),
            "objectives": objectives_table(report),
            "sections": [
                _section(objective, probe, report)
                for probe in report.probes
                for objective in probe.objectives
            ],
            "coverage": coverage_table(report),
            "coverage_note": COVERAGE_NOTE,
            "gaps": list(gap_sentences(report)),
            "excluded": excluded_table(report),
            "times": times_table(report),
            "phases": phases_table(report),
            "phases_note": PHASES_NOTE,
            "times_note": TIMES_NOTE,
            "phase_sentences": list(phase_sentences(report)),
            "dimensions": dimensions_table(report),
            "pages": pages_table(report),
            "method": METHOD,
            "provenance": list(provenance_sentences(report)),
        },
    )


def _section(
    objective: ObjectiveReport, probe: ProbeReport, report: SlaReport
) -> _ObjectiveSection:
    coverage, attainment, target = probe.coverage, objective.attainment, objective.target
    return _ObjectiveSection(
        name=objective_name(objective, report),
        requirement=describe_objective(objective.key, target),
        status=STATUS_TEXTS[objective.status],
        status_reason=objective.status_reason,
        attainment=None if attainment is None else format_percentage(attainment, target=target),
        interval=format_interval(objective),
        reasons=format_counts(objective.reasons),
        budget=budget_chart(objective, coverage, report.period) if coverage else None,
        bad_share=bad_share_chart(objective, coverage, report.period) if coverage else None,
        incidents=incidents_table(objective),
        hours=hours_table(objective),
    )
