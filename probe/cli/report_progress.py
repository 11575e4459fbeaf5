"""Progress of `inference-probe report` on stderr."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from probe.cli.progress_line import ProgressLine
from probe.formatting import format_time
from probe.prometheus.probe_group import ProbeGroup
from probe.report.period import Period

# A report that takes less time shows no progress.
DELAY_SECONDS = 2.0

# Time between two lines if the output is no terminal.
LINE_SECONDS = 10.0


class ReportProgress:
    """Shows which day is being read: on one line of a terminal, else with few lines."""

    def __init__(self, stream: TextIO, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._line = ProgressLine(stream)
        self._monotonic = monotonic
        self._next = monotonic() + DELAY_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._line.show("")

    def show(self, group: ProbeGroup, period: Period, until: float) -> None:
        """Show that the data of a probe has been read `until` a time (Unix seconds)."""
        now = self._monotonic()
        if now < self._next:
            return
        share = min(1.0, max(0.0, (until - period.start) / period.seconds))
        text = f"{group.probe}: {period.name} read until {format_time(until)[:16]} ({share:.0%})"
        if self._line.is_terminal:
            self._line.show(text)
        else:
            self._line.note(text)
            self._next = now + LINE_SECONDS
