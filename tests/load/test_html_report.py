"""The report of a load test as an HTML file."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from probe import __version__
from probe.load.html_report import ReportNotWritten, render_html, write_report
from probe.load.output import result_sentences
from probe.load.report import LoadReport
from tests.charts.browser_checks import check_page
from tests.load.example_reports import all_verdicts, fixed_rates, four_servers
from tests.server import chromium

CREATED = datetime(2026, 11, 29, 13, 5, 7, 123, tzinfo=UTC)

REPORTS: dict[str, Callable[[], LoadReport]] = {
    "search": four_servers,
    "fixed rates": fixed_rates,
    "all verdicts": all_verdicts,
}


def _html(report: LoadReport) -> str:
    return render_html(report, created=CREATED)


def _texts(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html))


@pytest.mark.parametrize("name", REPORTS)
def test_content(name: str) -> None:
    """The page has the sentences of the text report, all steps, time and version."""
    report = REPORTS[name]()
    html = _html(report)
    for sentence in result_sentences(report):
        assert sentence in html
    assert html.count('<th scope="row">') == len(report.steps)
    assert "2026-11-29 13:05:07 UTC" in html
    assert f"inference-probe {__version__}" in html
    assert "<script" not in html
    assert not re.search(r"""(src|href)=["'](?!#)""", html)


def test_verdicts() -> None:
    """Steps of all verdicts have a symbol, and failures their reasons."""
    text = _texts(_html(all_verdicts())).replace("\N{EN DASH}", "-")
    for verdict in ("✓ met", "✗ missed", "? undecided", "- void", "✓ met confirmation"):
        assert verdict in text
    assert "1214 http_5xx 1200 first_byte_timeout 14" in text
    assert "276 ms to failed" in text


def test_percentiles_of_too_few_requests() -> None:
    """A percentile of too few requests is `-` in the table, and has no point in the chart."""
    report = all_verdicts()
    html = _html(report)
    for name in ("p50", "p95", "p99"):
        known = [step for step in report.steps if getattr(step, name) and step.verdict != "void"]
        assert html.count(f"<title>{name} at ") == len(known)
    unknown = [step for step in report.steps for q in (step.p50, step.p95, step.p99) if q is None]
    assert unknown
    assert html.count("<td>-</td>") == len(unknown)


def test_markup_in_values() -> None:
    """Names, URLs and reasons are text, not markup."""
    hostile = '"><img src=x onerror=alert(1)><!--'
    report = replace(all_verdicts(), probe=hostile, url=hostile, reason=hostile, confirmed=None)
    html = _html(report)
    assert "<img" not in html
    assert "<!--" not in html
    assert html.count("&lt;img") >= 3


@pytest.mark.parametrize("verdict", ["void", None])
def test_no_usable_step(verdict: str | None) -> None:
    """A report without steps, or with void ones only, has no charts."""
    report = all_verdicts()
    steps = tuple(step for step in report.steps if step.verdict == verdict)
    html = _html(replace(report, steps=steps, confirmed=None, reason="it was interrupted"))
    assert "<svg" not in html
    assert "No safe rate is confirmed: it was interrupted." in html
    assert ("No step has ended." in html) == (verdict is None)


def test_one_step() -> None:
    """A report of one step has all charts."""
    report = fixed_rates()
    html = _html(replace(report, steps=report.steps[:1], confirmed=None))
    assert html.count('class="chart"') == 4


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.run_chromium() as browser:
        yield browser


def _dense(report: LoadReport) -> LoadReport:
    """Return `report` with twenty rates close to each other and one far above them."""
    step = report.steps[4]
    rates = [30 * 1.02**number for number in range(20)]
    return replace(report, steps=tuple(replace(step, rate=rate) for rate in (1, *rates, 900)))


@pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.MISSING)
@pytest.mark.parametrize("name", [*REPORTS, "dense rates"])
def test_page_in_a_browser(name: str, browser: Browser, tmp_path: Path) -> None:
    """The style is applied under the content security policy, and labels do not overlap."""
    report = _dense(four_servers()) if name == "dense rates" else REPORTS[name]()
    file = tmp_path / "report.html"
    write_report(file, _html(report))
    check_page(browser, file)


def test_previous_report_is_replaced(tmp_path: Path) -> None:
    """A report replaces the file, also through a link, and leaves no other file."""
    file, link = tmp_path / "report.html", tmp_path / "link.html"
    file.write_text("old")
    link.symlink_to(file)
    write_report(link, "neü")
    assert file.read_text(encoding="utf-8") == "neü"
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [link, file]


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full, the previous report stays, and the message has the file and reason."""

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    file = tmp_path / "report.html"
    file.write_text("old")
    with pytest.raises(ReportNotWritten) as error:
        write_report(file, "new")
    assert str(error.value) == f"cannot write the report {file}: No space left on device"
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/full", "No space left on device"),
        ("{tmp}/missing/report.html", "No such file or directory"),
        ("{tmp}", "Is a directory"),
        ("{tmp}/file/report.html", "Not a directory"),
    ],
)
def test_report_that_cannot_be_written(path: str, reason: str, tmp_path: Path) -> None:
    """The message has the file and the reason."""
    (tmp_path / "file").touch()
    path = path.replace("{tmp}", str(tmp_path))
    with pytest.raises(ReportNotWritten) as error:
        write_report(Path(path), "new")
    assert str(error.value) == f"cannot write the report {path}: {reason}"
