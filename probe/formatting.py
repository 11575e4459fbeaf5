"""Texts of numbers, times and tables on the pages and in the output of commands.

`config.units.format_duration` writes a duration for a config (`1m30s`); the functions here write
for readers (`1 min 30 s`).
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction

from probe.clock import DAY_SECONDS, HOUR_SECONDS, MINUTE_SECONDS
from probe.result import BudgetKind, BudgetUse
from probe.serialization import format_money

_UNITS = (("d", DAY_SECONDS), ("h", HOUR_SECONDS), ("min", MINUTE_SECONDS), ("s", 1))


def format_latency(seconds: float) -> str:
    """Return a latency with three significant digits: `840 µs`, `12.3 ms`, `1.20 s`."""
    for unit, factor in (("µs", 1e6), ("ms", 1e3)):
        if seconds * factor < 999.5:
            return f"{_three_digits(seconds * factor)} {unit}"
    return f"{_three_digits(seconds)} s"


def _three_digits(number: float) -> str:
    for decimals, limit in ((2, 9.995), (1, 99.95)):
        if number < limit:
            return f"{number:.{decimals}f}"
    return f"{number:.0f}"


def format_seconds(seconds: float) -> str:
    """Return a time with at most three digits, never in µs: `0.84 ms`, `12.3 ms`, `1.2 s`."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def format_rate(rate: float | Fraction) -> str:
    """Return requests per second with up to four digits: `116.7/s`."""
    return f"{float(rate):.4g}/s" if rate < 10_000 else f"{float(rate):.0f}/s"


def format_threshold(seconds: float) -> str:
    """Return a duration of the config, exactly: `500 ms`, `2.5 s`, `6 h`, `1 min 30 s`."""
    if seconds >= 60 and seconds == int(seconds):
        return format_elapsed(seconds, max_units=len(_UNITS))
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:.10g} s"


def format_target(ratio: float) -> str:
    """Return the target of an objective as a percentage, exactly."""
    return f"{ratio * 100:.10g} %"


def format_ratio(ratio: float) -> str:
    """Return a percentage, rounded down: a target that is just missed must not look met."""
    return f"{math.floor(ratio * 1e4 + 1e-6) / 100:g} %"


def format_budget(left: float) -> str:
    """Return the error budget left in whole percent, rounded down; it may be negative.

    If twice the budget is spent or more, return the multiple: `spent 5.7×`, `spent 1,000×`.
    """
    spent = 1 - left
    if spent < 2:
        return f"{math.floor(left * 100 + 1e-6)} %".replace("-", "−")
    return f"spent {spent:.1f}×" if spent < 9.95 else f"spent {spent:,.0f}×"


def format_budget_use(use: BudgetUse, currency: str | None) -> str:
    """Return how much of a limit is used: `90 of 1,000 tokens per day`, `0.12 of 5.00 EUR per day`.

    `currency` is that of the price.
    """
    if use.kind is BudgetKind.COST_PER_DAY:
        return f"{format_money(use.used)} of {format_money(use.limit)} {currency} per day"
    return f"{use.used:,.0f} of {use.limit:,.0f} {use.kind.replace('_', ' ')}"


def format_elapsed(seconds: float, max_units: int = 2) -> str:
    """Return a duration in its largest units: `3 h 20 min`."""
    rest, parts = max(0, round(seconds)), []
    for unit, unit_seconds in _UNITS:
        if rest >= unit_seconds:
            parts.append(f"{rest // unit_seconds} {unit}")
            rest %= unit_seconds
    return " ".join(parts[:max_units]) or "0 s"


def format_expiry(seconds_left: float) -> str:
    """Return when a certificate expires: `expires in 63 d`, `expires in 5 h`, `has expired`."""
    if seconds_left <= 0:
        return "has expired"
    return f"expires in {format_elapsed(seconds_left, max_units=1)}"


def format_time(time: datetime | float) -> str:
    """Return a time (Unix seconds if it is a number) in UTC, to the second."""
    if not isinstance(time, datetime):
        time = datetime.fromtimestamp(time, UTC)
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a line for each row, with its cells in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
