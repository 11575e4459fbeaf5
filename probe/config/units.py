"""Quantities as people write them: durations, sizes and percentages, each with its unit.

The arithmetic is decimal, so that "100ms" is the float nearest to 0.1 and "99.9%" equals 0.999.
Every parser raises ValueError with a sentence that quotes the text and says what to write.
"""

import re
from decimal import Decimal

from probe.config.errors import quote

NUMBER = r"[0-9]+(?:\.[0-9]+)?"

_SECONDS = {
    "d": Decimal(86400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("1e-3"),
    "us": Decimal("1e-6"),
}
DURATION_PATTERN = r"(?=[0-9])" + "".join(f"(?:({NUMBER}){unit})?" for unit in _SECONDS)

_BYTES = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
SIZE_PATTERN = rf"({NUMBER})({'|'.join(_BYTES)})"

PERCENTAGE_PATTERN = rf"({NUMBER})%"

MAX_QUANTITY_CHARS = 1000


def parse_duration(text: str) -> float:
    """Seconds in a duration such as "250ms" or "1m30s", largest unit first."""
    match = _match(DURATION_PATTERN, text)
    if match is None:
        advice = "write a number with a unit, such as 250ms, 5s or 1m30s"
        raise ValueError(f"not a duration: {quote(text)}; {advice}")
    amounts = zip(match.groups(), _SECONDS.values(), strict=True)
    return float(sum(Decimal(amount) * unit for amount, unit in amounts if amount))


def parse_size(text: str) -> int:
    """Bytes in a size such as "1MiB" or "10kB"."""
    match = _match(SIZE_PATTERN, text)
    if match is None:
        advice = (
            f"write a number with a unit, such as 512B, 10kB or 1MiB (units: {', '.join(_BYTES)})"
        )
        raise ValueError(f"not a size: {quote(text)}; {advice}")
    return int(Decimal(match[1]) * _BYTES[match[2]])


def parse_percentage(text: str) -> float:
    """The ratio (0.99) that a percentage ("99%") stands for."""
    match = _match(PERCENTAGE_PATTERN, text)
    if match is None:
        raise ValueError(f"not a percentage: {quote(text)}; write one such as 99% or 99.95%")
    return float(Decimal(match[1]) / 100)


def _match(expression: str, text: str) -> re.Match[str] | None:
    """None also for so many digits that decimals overflow, too."""
    return re.fullmatch(expression, text) if len(text) <= MAX_QUANTITY_CHARS else None


def format_number(number: str | float | Decimal) -> str:
    """A number without its sign, as it stands before a unit; raises ValueError for one that is
    too large or too small to be meant.
    """
    exact = Decimal(number).copy_abs()
    if not -15 <= exact.adjusted() < 15:
        raise ValueError("a number with too many digits; write a shorter one, with its unit")
    return _plain(Decimal(f"{exact:.15g}"))


def format_duration(seconds: float) -> str:
    """The shortest way to write a duration (seconds, >= 0), such that parsing gives it back."""
    rest = Decimal(repr(seconds))
    if 0 < rest < 1:
        unit = "ms" if rest >= _SECONDS["ms"] else "us"
        return _plain(rest / _SECONDS[unit]) + unit
    text = ""
    for unit in ("d", "h", "m"):
        whole, rest = divmod(rest, _SECONDS[unit])
        text += f"{whole}{unit}" if whole else ""
    return text + (f"{_plain(rest)}s" if rest or not text else "")


def _plain(number: Decimal) -> str:
    """Digits without an exponent and without zeros at the end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
