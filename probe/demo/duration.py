"""Durations as Prometheus writes them: `750ms`, `1m30s`, `1d`."""

import argparse
import re

_MILLISECONDS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
PATTERN = r"(?:\d+(?:ms|[smhdwy]))+"


def parse(text: str) -> float:
    """Seconds. ValueError, with what to write instead, for anything that is no duration."""
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r} is not a duration: write a number and a unit, as in 90s or 2m")
    parts = re.findall(r"(\d+)(ms|[smhdwy])", text)
    return sum(int(number) * _MILLISECONDS[unit] for number, unit in parts) / 1000


def write(seconds: float) -> str:
    """So many seconds, in days and less; what is under a millisecond is rounded up to one."""
    rest = max(round(seconds * 1000), 1 if seconds > 0 else 0)
    text = ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _MILLISECONDS[unit])
        if count:
            text += f"{count}{unit}"
    return text or "0s"


def argument(text: str) -> float:
    """Seconds of a command line's option."""
    try:
        return parse(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
