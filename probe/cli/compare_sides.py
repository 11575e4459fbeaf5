"""The sides of a comparison, as they are written on the command line."""

from dataclasses import dataclass

from probe.cli.command import UsageError, quote_argument
from probe.compare.selection import Selection
from probe.config.choices import Dimension
from probe.config.units import format_duration
from probe.report.period import Period
from probe.result import Result

_VALUES = ", ".join(f"NAME@{dimension}=VALUE" for dimension in Dimension)
_SYNTAX = f"write NAME, {_VALUES} or NAME@2026-10"


@dataclass(frozen=True, slots=True, kw_only=True)
class SideArgument:
    """One side: a probe, or its requests with one value of a dimension, or in one month."""

    text: str
    probe: str
    dimension: Dimension | None = None
    value: str | None = None
    month: str | None = None
    """Such as `2026-10`. `selection` checks it."""

    @classmethod
    def parse(cls, text: str) -> "SideArgument":
        """Return the side that `text` describes. Raises UsageError."""
        probe, separator, part = text.partition("@")
        if not separator and probe:
            return cls(text=text, probe=probe)
        key, equals, value = part.partition("=")
        if probe and key[:1].isdecimal() and not equals:
            return cls(text=text, probe=probe, month=part)
        if not probe or key not in list(Dimension) or not value:
            raise UsageError(f"not a side of a comparison: {quote_argument(text)}; {_SYNTAX}")
        return cls(text=text, probe=probe, dimension=Dimension(key), value=value)

    def matches(self, result: Result) -> bool:
        """Return whether `result` is one of this side."""
        if result.probe != self.probe:
            return False
        return self.dimension is None or self.value_of(result) == self.value

    def value_of(self, result: Result) -> str | None:
        """Return the value of `result` for the dimension of this side; None without one."""
        return getattr(result, self.dimension) if self.dimension else None

    def selection(self, *, now: float, last_seconds: float) -> Selection:
        """Return the recorded requests: those of the month, or of the time before `now`.

        Raises UsageError for an invalid month, or one that has not begun.
        """
        start, end = now - last_seconds, now
        name = f"{self.text}, last {format_duration(last_seconds)}"
        if self.month:
            try:
                period = Period.of_month(self.month, now)
            except ValueError as error:
                raise UsageError(f"{self.text}: {error}") from None
            start, end, name = period.start, period.end, self.text
        return Selection(
            name=name,
            probe=self.probe,
            dimension=self.dimension,
            value=self.value,
            start=start,
            end=end,
        )
