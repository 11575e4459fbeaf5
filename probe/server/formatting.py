"""How pages say numbers and times."""

import math
from datetime import UTC, datetime


def format_latency(seconds: float) -> str:
    """Three digits that count, in the unit that fits: `840 µs`, `12.3 ms`, `1.20 s`."""
    for unit, of in (("µs", 1e6), ("ms", 1e3)):
        if seconds * of < 999.5:
            return f"{_three_digits(seconds * of)} {unit}"
    return f"{_three_digits(seconds)} s"


def _three_digits(number: float) -> str:
    for decimals, limit in ((2, 9.995), (1, 99.95)):
        if number < limit:
            return f"{number:.{decimals}f}"
    return f"{number:.0f}"


def format_threshold(seconds: float) -> str:
    """A length of time as people write it in a config: `500 ms`, `2.5 s`, `6 h`, `1 min 30 s`."""
    if seconds >= 60 and seconds == int(seconds):
        return format_duration(seconds, units=4)
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:.10g} s"


def format_target(share: float) -> str:
    """A percentage as it was written."""
    return f"{share * 100:.10g} %"


def format_ratio(ratio: float) -> str:
    """A percentage of events, rounded down: what is missed by little does not read as met."""
    return f"{math.floor(ratio * 1e4 + 1e-6) / 100:g} %"


def format_budget(left: float) -> str:
    """A share of the budget in whole percent, rounded down: what is overspent by little says so.

    From twice on it is told how often all of it was spent: `spent 5.7×`, `spent 1,000×`.
    """
    spent = 1 - left
    if spent < 2:
        return f"{math.floor(left * 100 + 1e-6)} %".replace("-", "−")
    return f"spent {spent:.1f}×" if spent < 9.95 else f"spent {spent:,.0f}×"


def format_duration(seconds: float, units: int = 2) -> str:
    """A length of time in its largest units: `3 h 20 min`."""
    left, said = max(0, round(seconds)), []
    for unit, of in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= of:
            said.append(f"{left // of} {unit}")
            left %= of
    return " ".join(said[:units]) or "0 s"


def format_time(time: datetime | float) -> str:
    """A point in time to the second, in UTC; a number is Unix seconds."""
    if not isinstance(time, datetime):
        time = datetime.fromtimestamp(time, UTC)
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
