"""Plain words that YAML 1.1 takes for something else than they look, and what to write instead."""

import math
import re
from decimal import Decimal

import yaml

from probe.config.errors import quote

TAG_PREFIX = "tag:yaml.org,2002:"

_POWER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?([0-9]+)")
_ZEROS = re.compile(r"[-+]?0(?:[0-9]+|[oO][0-7]+|X[0-9a-fA-F]+|B[01]+)")
_BASES = {"x": ("hexadecimal", 16, 2), "b": ("binary", 2, 2)}


def yaml11_pitfall(node: yaml.ScalarNode) -> str | None:
    """What to write instead of a scalar that looks like one thing and is another."""
    if node.style is not None:
        return None
    judge = _JUDGES.get(node.tag.removeprefix(TAG_PREFIX))
    return judge(node.value) if judge else None


def _bool(text: str) -> str | None:
    if text.lower() in ("true", "false"):
        return None
    value = "true" if text.lower() in ("yes", "on") else "false"
    return f'YAML reads {text} as {value}; write {value}, or quote it as text: "{text}"'


def _int(text: str) -> str | None:
    digits = text.lstrip("+-")
    if "_" in text:
        return _underscores(text)
    if ":" in text:
        return f'YAML reads {text} as a number to base 60; quote it as text: "{text}"'
    if digits == "0" or not digits.startswith("0"):
        return None
    name, base, skip = _BASES.get(digits[1], ("octal", 8, 1))
    value = int(digits[skip:], base) * (-1 if text.startswith("-") else 1)
    return f'YAML reads {text} as {name}, {value}; write {value}, or quote it as text: "{text}"'


def _float(text: str) -> str | None:
    if "_" in text:
        return _underscores(text)
    if ":" in text:
        return f'YAML reads {text} as a number to base 60; quote it as text: "{text}"'
    if text.lower().endswith((".inf", ".nan")) or not math.isfinite(float(text)):
        return f'{text} is no finite number; write one, or quote it as text: "{text}"'
    return None


def _underscores(text: str) -> str:
    plain = text.replace("_", "")
    return f'YAML ignores the "_" in {text}; write {plain}, or quote it as text: "{text}"'


def _str(text: str) -> str | None:
    power = _POWER.fullmatch(text)
    if power:
        small = len(power[1]) < 3
        number = f"{Decimal(text):f}" if small else "it with a point and a sign, like 1.0e+300"
        return f'YAML reads {text} as text, not as a number; write {number}, or quote it: "{text}"'
    if _ZEROS.fullmatch(text):
        return f'{text} looks like a number, but YAML reads text; quote it: "{text}"'
    return None


def _timestamp(text: str) -> str:
    return f"YAML reads {quote(text)} as a date; quote it as text"


def _sign(text: str) -> str:
    return f'YAML gives {text} a meaning of its own; quote it as text: "{text}"'


_JUDGES = {
    "bool": _bool,
    "int": _int,
    "float": _float,
    "str": _str,
    "timestamp": _timestamp,
    "value": _sign,
    "merge": _sign,
}
