"""The SLA report as an HTML file."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from probe.clock import DAY_SECONDS, HOUR_SECONDS
from probe.prometheus.probe_group import ProbeGroup
from probe.report.html_report import render_html
from probe.report.objective_charts import bad_share_chart, budget_chart
from probe.report.objective_counts import Events
from probe.report.period import Period
from probe.report.report import SlaReport
from probe.report.wording import status_sentences
from tests.charts.browser_checks import check_page
from tests.server import chromium


def test_content(report: SlaReport) -> None:
    """The page has all sentences and tables, and needs no other file and no script."""
    html = render_html(report)
    text = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html))
    for sentence in status_sentences(report):
        assert sentence in text
    for heading in (
        "Error budget",
        "Incidents",
        "Worst hours",
        "Coverage",
        "Not counted",
        "Phases compared with earlier",
        "Method",
    ):
        assert heading in text
    assert html.count('class="chart"') == 2 * len(report.objectives)
    assert html.count('class="incident"') == sum(
        len(objective.incidents) for objective in report.objectives
    )
    assert "<script" not in html
    assert not re.search(r"""(src|href)=["'](?!#)""", html)


def test_markup_in_values(report: SlaReport) -> None:
    """Names, labels and warnings are text, not markup."""
    hostile = '"><img src=x onerror=alert(1)><!--'
    group = ProbeGroup(hostile, job=hostile)
    (probe,) = report.probes
    objectives = tuple(
        replace(objective, group=group, key=objective.key._replace(slo=hostile))
        for objective in probe.objectives
    )
    html = render_html(
        replace(
            report,
            probes=(replace(probe, group=group, objectives=objectives),),
            warnings=(hostile,),
            source=hostile,
        )
    )
    assert "<img" not in html
    assert "<!--" not in html
    assert html.count("&lt;img") > 10


def test_nothing_measured(report: SlaReport) -> None:
    """A report without data has no charts, and says so."""
    (probe,) = report.probes
    empty = replace(
        probe,
        coverage=None,
        objectives=(),
        times={},
        phase_comparisons=None,
        dimensions=(),
        other_pages=(),
    )
    html = render_html(replace(report, probes=(empty,)))
    assert "There is no objective with data in this period." in html
    assert "<svg" not in html


def test_budget_chart(report: SlaReport) -> None:
    """The line falls from 100 % to what is left, and incidents are at their times."""
    (probe,) = report.probes
    assert probe.coverage
    chart = budget_chart(probe.objectives[0], probe.coverage, report.period)
    assert chart
    levels = [float(y) for y in re.findall(r"[ML][0-9.]+ ([0-9.]+)", chart.path)]
    assert levels == sorted(levels)
    assert len(chart.incidents) == 3
    assert [span.x for span in chart.incidents] == sorted(span.x for span in chart.incidents)
    # Half an hour without any replica.
    assert [span.title for span in chart.frame.absences] == ["not measured"]


def test_bars(report: SlaReport) -> None:
    """Bars of a month are days, and a day above the allowed share is marked."""
    (probe,) = report.probes
    assert probe.coverage
    start = report.period.start // DAY_SECONDS * DAY_SECONDS
    hours = {
        start + number * HOUR_SECONDS: Events(good=95 if number == 30 else 100, bad=number // 30)
        for number in range(240)
    }
    month = Period(name="month", start=start, end=start + 10 * DAY_SECONDS)
    objective = replace(probe.objectives[0], hours=hours)
    chart = bad_share_chart(objective, probe.coverage, month)
    assert chart
    assert (chart.unit, len(chart.bars)) == ("day", 10)
    assert [bar.is_above for bar in chart.bars] == [False] * 2 + [True] * 8
    day = bad_share_chart(probe.objectives[0], probe.coverage, report.period)
    assert day
    assert day.unit == "hour"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.run_chromium() as browser:
        yield browser


@pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.MISSING)
def test_page_in_a_browser(report: SlaReport, browser: Browser, tmp_path: Path) -> None:
    """The style is applied under the content security policy, and labels do not overlap."""
    file = tmp_path / "report.html"
    file.write_text(render_html(report), encoding="utf-8")
    check_page(browser, file)
