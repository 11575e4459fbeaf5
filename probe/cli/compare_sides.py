"""The sides of a comparison, as they are written on the command line."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from probe.cli.command import UsageError, quote_argument
from probe.compare.prometheus_source import Selection
from probe.config.units import format_duration

# Labels of the histograms by dimension, and keys of a probe.
DIMENSIONS = ("version", "segment", "payload")

_MONTH = re.compile("([0-9]{4})-(0[1-9]|1[0-2])")

_SYNTAX = "write NAME, NAME@version=V, NAME@segment=S, NAME@payload=P or NAME@2026-10"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideArgument:
    """One side: a probe, and possibly one of its versions, segments, payloads or months."""

    text: str
    probe: str
    dimension: str | None = None
    value: str | None = None
    month: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> "SideArgument":
        """Return the side that `text` describes. Raises UsageError."""
        probe, separator, part = text.partition("@")
        if not probe or (separator and not part):
            raise UsageError(f"not a side of a comparison: {quote_argument(text)}; {_SYNTAX}")
        if not separator:
            return cls(text=text, probe=probe)
        if match := _MONTH.fullmatch(part):
            return cls(text=text, probe=probe, month=(int(match[1]), int(match[2])))
        dimension, _, value = part.partition("=")
        if dimension not in DIMENSIONS or not value:
            raise UsageError(f"not a side of a comparison: {quote_argument(text)}; {_SYNTAX}")
        return cls(text=text, probe=probe, dimension=dimension, value=value)

    def selection(self, *, now: float, last_seconds: float) -> Selection:
        """Return the recorded requests: those of the month, or of the time before `now`.

        Raises UsageError for a month that has not begun.
        """
        start, end = now - last_seconds, now
        name = f"{self.text}, last {format_duration(last_seconds)}"
        if self.month:
            year, month = self.month
            start, next_month = _month_start(year, month), _month_start(year, month + 1)
            if start >= now:
                raise UsageError(f"{self.text}: the month has not begun (UTC); name an earlier one")
            end = min(next_month, now)
            name = self.text
        return Selection(
            name=name,
            probe=self.probe,
            dimension=self.dimension,
            value=self.value,
            start=start,
            end=end,
        )


def _month_start(year: int, month: int) -> float:
    """Return the start of a month (Unix seconds, UTC); 13 is January of the next year."""
    return datetime(year + month // 13, (month - 1) % 12 + 1, 1, tzinfo=UTC).timestamp()
