"""The period of a report, in UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from probe.clock import HOUR_SECONDS
from probe.config.errors import quote
from probe.config.units import parse_duration

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The time after `start` until `end` (Unix seconds), with the name that the user gave it."""

    name: str
    start: float
    end: float
    month: tuple[int, int] | None = None
    """Year and month; None for other periods. A month that is not over ends now."""

    @classmethod
    def of_month(cls, text: str, now: float) -> Self:
        """Return the month `text`, such as "2026-11", until `now`. Raises ValueError."""
        match = _MONTH.fullmatch(text)
        if match is None or int(match[1]) < 1970:
            raise ValueError(f"not a month: {text!r}; write one such as 2026-11")
        year, month = int(match[1]), int(match[2])
        start, end = _month_start(year, month), _month_start(year, month + 1)
        if start >= now:
            raise ValueError(f"{text} has not begun (UTC); write a month that has")
        return cls(name=text, start=start, end=min(end, now), month=(year, month))

    @classmethod
    def last(cls, text: str, now: float) -> Self:
        """Return the time `text`, such as "30d", before `now`. Raises ValueError."""
        try:
            seconds = parse_duration(text)
        except ValueError:
            raise ValueError(
                f"not a duration: {quote(text)}; write one such as 12h or 30d"
            ) from None
        if seconds < HOUR_SECONDS:
            raise ValueError(f"{text} is too short for a report; write at least 1h")
        if seconds >= now:
            raise ValueError(f"{text} is too long; write less, such as 30d")
        return cls(name=f"last {text}", start=now - seconds, end=now)

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def previous(self) -> "Period":
        """Return the period before this one: the month before, or one of the same duration."""
        if self.month is None:
            start = max(0.0, self.start - self.seconds)
            return Period(name=f"before {self.name}", start=start, end=self.start)
        year, month = self.month if self.month[1] > 1 else (self.month[0] - 1, 13)
        return Period(
            name=f"{year}-{month - 1:02}",
            start=_month_start(year, month - 1),
            end=self.start,
            month=(year, month - 1),
        )


def _month_start(year: int, month: int) -> float:
    """Return the start of a month (Unix seconds); 13 is January of the next year."""
    if month == 13:
        year, month = year + 1, 1
    return datetime(year, month, 1, tzinfo=UTC).timestamp()
