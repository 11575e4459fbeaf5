"""Texts of quantiles in the output of load tests."""

import math

from probe.formatting import format_seconds
from probe.load.statistics import Quantile


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
