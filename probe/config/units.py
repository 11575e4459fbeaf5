"""Durations, sizes, counts, rates and percentages with their units: parsing and formatting.

The arithmetic is decimal: "100ms" is the float nearest to 0.1, and "99.9%" equals 0.999. Parsers
raise ValueError with a message that quotes the text (or `quoted`, if the text may be a secret) and
says what to write.
"""

import re
from decimal import Decimal

from probe.config.errors import quote

NUMBER_PATTERN = r"[0-9]+(?:\.[0-9]+)?"

_SECONDS = {
    "d": Decimal(86400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("1e-3"),
    "us": Decimal("1e-6"),
}
DURATION_PATTERN = r"(?=[0-9])" + "".join(f"(?: ?({NUMBER_PATTERN}) ?{unit})?" for unit in _SECONDS)

_BYTES = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
SIZE_PATTERN = rf"({NUMBER_PATTERN})({'|'.join(_BYTES)})"

_COUNT_UNITS = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}
COUNT_PATTERN = rf"({NUMBER_PATTERN}) ?({'|'.join(filter(None, _COUNT_UNITS))})?"

# Requests per second.
RATE_PATTERN = rf"({NUMBER_PATTERN}) ?/ ?s"

# Other spellings of a rate: 140rps, 140 req/s, 140 per second, 8400/min.
_RATE_SPELLING = re.compile(
    rf"({NUMBER_PATTERN}) ?(k?)(?:(?:r|q)ps|hz|(?:r|req|reqs|requests?|quer(?:y|ies))?"
    r"(?: ?/ ?| per )(s|sec|seconds?|m|min|minutes?|h|hours?|d|days?))",
    re.IGNORECASE,
)

PERCENTAGE_PATTERN = rf"({NUMBER_PATTERN}) ?%"

# Longer text is rejected: Decimal overflows with very many digits.
MAX_QUANTITY_CHARS = 1000


def parse_duration(text: str, *, quoted: str | None = None) -> float:
    """Return the seconds of a duration such as "250ms" or "1m30s", largest unit first.

    A space before a unit and between the parts is allowed: "250 ms", "1m 30s".
    """
    match = _match(DURATION_PATTERN, text)
    if match is None:
        advice = _decimal_point(text) or "write a number with a unit, such as 250ms, 5s or 1m30s"
        raise ValueError(f"not a duration: {quoted or quote(text)}; {advice}")
    amounts = zip(match.groups(), _SECONDS.values(), strict=True)
    return float(sum(Decimal(amount) * unit for amount, unit in amounts if amount))


def parse_size(text: str, *, quoted: str | None = None) -> int:
    """Return the bytes of a size such as "1MiB" or "10kB"."""
    match = _match(SIZE_PATTERN, text)
    if match is None:
        units = ", ".join(_BYTES)
        advice = f"write a number with a unit, such as 512B, 10kB or 1MiB (units: {units})"
        raise ValueError(f"not a size: {quoted or quote(text)}; {advice}")
    return int(Decimal(match[1]) * _BYTES[match[2]])


def parse_count(text: str, *, quoted: str | None = None) -> int:
    """Return a number such as "500", "100k" or "1.5M" (units: k, M, G of 1000)."""
    match = _match(COUNT_PATTERN, text)
    count = Decimal(match[1]) * _COUNT_UNITS[match[2] or ""] if match else Decimal("0.5")
    if count != int(count):
        advice = _decimal_point(text) or "write a whole number, such as 500, 100k or 1M"
        raise ValueError(f"not a count: {quoted or quote(text)}; {advice}")
    return int(count)


def parse_percentage(text: str, *, quoted: str | None = None) -> float:
    """Return the ratio of a percentage: 0.99 for "99%" and "99 %"."""
    match = _match(PERCENTAGE_PATTERN, text)
    if match is None:
        advice = _decimal_point(text) or "write one such as 99% or 99.95%"
        raise ValueError(f"not a percentage: {quoted or quote(text)}; {advice}")
    return float(Decimal(match[1]) / 100)


def parse_rate(text: str, *, quoted: str | None = None) -> float:
    """Return the requests per second of a rate such as "600/s" or "0.5"."""
    match = _match(RATE_PATTERN, text) or _match(f"({NUMBER_PATTERN})", text)
    if match is None:
        advice = _decimal_point(text) or (None if quoted else _rate_advice(text))
        advice = advice or "write a number of requests per second, such as 600/s"
        raise ValueError(f"not a rate: {quoted or quote(text)}; {advice}")
    return float(Decimal(match[1]))


def _rate_advice(text: str) -> str | None:
    """Return the advice about another spelling of a rate, converted to requests per second."""
    match = _RATE_SPELLING.fullmatch(text) if len(text) <= MAX_QUANTITY_CHARS else None
    if match is None:
        return None
    thousands, unit = match[2], (match[3] or "s")[0].lower()
    rate = Decimal(match[1]) * (1000 if thousands else 1) / _SECONDS[unit]
    return f"write {format_number(f'{rate:.6g}')}/s"


def _decimal_point(text: str) -> str | None:
    """Return the advice about a decimal comma, as in "99,5%". It does not quote the text."""
    has_comma = re.search("[0-9],[0-9]", text)
    return "write a decimal point, not a comma" if has_comma else None


def _match(pattern: str, text: str) -> re.Match[str] | None:
    return re.fullmatch(pattern, text) if len(text) <= MAX_QUANTITY_CHARS else None


def format_number(number: str | float | Decimal) -> str:
    """Return the digits of `number` without sign and exponent, to write before a unit.

    Raises ValueError if the number is too large or too small for a quantity.
    """
    exact = Decimal(number).copy_abs()
    if not -15 <= exact.adjusted() < 15:
        raise ValueError("a number with too many digits; write a shorter one, with its unit")
    return _plain_digits(Decimal(f"{exact:.15g}"))


def format_duration(seconds: float) -> str:
    """Return `seconds` (>= 0) as the shortest duration that `parse_duration` reads as the same."""
    rest = Decimal(repr(seconds))
    if 0 < rest < 1:
        unit = "ms" if rest >= _SECONDS["ms"] else "us"
        return _plain_digits(rest / _SECONDS[unit]) + unit
    text = ""
    for unit in ("d", "h", "m"):
        count, rest = divmod(rest, _SECONDS[unit])
        text += f"{count}{unit}" if count else ""
    return text + (f"{_plain_digits(rest)}s" if rest or not text else "")


def format_percentage(ratio: float) -> str:
    """Return the percentage of a ratio: "99.9%" for 0.999."""
    return f"{ratio * 100:.10g}%"


def _plain_digits(number: Decimal) -> str:
    """Return the digits of `number` without an exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
