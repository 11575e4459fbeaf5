"""Progress of `inference-probe report` on stderr."""

import time
from types import TracebackType
from typing import Self, TextIO

from probe.formatting import format_time
from probe.report.labels import ProbeGroup
from probe.report.period import Period

# A report that takes less time shows no progress.
DELAY_SECONDS = 2.0

# Time between two lines if the output is no terminal.
LINE_SECONDS = 10.0


class ReportProgress:
    """Shows which day is being read: on one line of a terminal, else with few lines."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._next = time.monotonic() + DELAY_SECONDS
        self._has_line = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._has_line:
            self._output.write("\r\x1b[K")
            self._output.flush()

    def show(self, group: ProbeGroup, period: Period, until: float) -> None:
        """Show that the data of a probe has been read `until` a time (Unix seconds)."""
        if time.monotonic() < self._next:
            return
        share = min(1.0, max(0.0, (until - period.start) / period.seconds))
        text = f"{group.probe}: {period.name} read until {format_time(until)[:10]} ({share:.0%})"
        if self._output.isatty():
            self._output.write(f"\r\x1b[K{text}")
            self._has_line = True
        else:
            self._output.write(f"{text}\n")
            self._next = time.monotonic() + LINE_SECONDS
        self._output.flush()
