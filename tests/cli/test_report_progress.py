"""Progress of `report` on stderr."""

import io

import pytest

from probe.cli.report_progress import ReportProgress
from probe.prometheus.probe_group import ProbeGroup
from probe.report.period import Period

GROUP = ProbeGroup.of({"probe": "chat"})
PERIOD = Period(name="2026-11", start=1793491200.0, end=1793491200.0 + 30 * 86400)


class Stream(io.StringIO):
    """A terminal, or not."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def progress_of(stream: Stream, seconds: float) -> None:
    """Show each day of a month, which is read in `seconds`."""
    now = 0.0
    with ReportProgress(stream, lambda: now) as progress:
        for day in range(1, 31):
            now += seconds / 30
            progress.show(GROUP, PERIOD, PERIOD.start + day * 86400)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_short_report(is_terminal: bool) -> None:
    """A report that takes a second shows no progress."""
    stream = Stream(is_terminal=is_terminal)
    progress_of(stream, 1.0)
    assert stream.getvalue() == ""


def test_terminal() -> None:
    """A line replaces itself, and is gone at the end."""
    stream = Stream(is_terminal=True)
    progress_of(stream, 60.0)
    lines = stream.getvalue().split("\r")
    assert lines[1] == "chat: 2026-11 read until 2026-11-02 00:00 (3%)"
    assert lines[-3] == "chat: 2026-11 read until 2026-12-01 00:00 (100%)"
    assert (lines[-2].strip(), lines[-1]) == ("", "")
    assert "\n" not in stream.getvalue()


def test_file() -> None:
    """There is a line every 10 s."""
    stream = Stream(is_terminal=False)
    progress_of(stream, 30.0)
    assert stream.getvalue().splitlines() == [
        "chat: 2026-11 read until 2026-11-03 00:00 (7%)",
        "chat: 2026-11 read until 2026-11-13 00:00 (40%)",
        "chat: 2026-11 read until 2026-11-23 00:00 (73%)",
    ]
