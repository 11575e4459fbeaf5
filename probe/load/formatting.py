"""Texts of rates, times and tables in the output of load tests and of capacity planning."""

import math
from collections.abc import Sequence
from fractions import Fraction

from probe.load.statistics import Quantile


def align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return a line for each row, with its cells in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def format_rate(rate: float | Fraction) -> str:
    """Return requests per second with up to four digits: `116.7/s`."""
    return f"{float(rate):.4g}/s" if rate < 10_000 else f"{float(rate):.0f}/s"


def format_seconds(seconds: float) -> str:
    """Return a measured time with three digits: `12.3 ms`."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def format_quantile(quantile: Quantile | None) -> str:
    """Return a quantile; `-` for too few requests, and `failed` if it is a failed request."""
    if quantile is None:
        return "-"
    return format_seconds(quantile.seconds) if math.isfinite(quantile.seconds) else "failed"


def format_interval(quantile: Quantile) -> str:
    """Return the interval of a quantile: `11.9 ms to 13 ms`. The upper end may be `failed`."""
    lower, upper = (
        format_seconds(seconds) if math.isfinite(seconds) else "failed"
        for seconds in (quantile.lower, quantile.upper)
    )
    return f"{lower} to {upper}"
