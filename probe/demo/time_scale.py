"""The same configuration in a faster world: every duration divided by one factor.

For demonstrations and tests, which cannot wait ten minutes for an alert. It works on the text of
Prometheus' rules and of the configurations of Prometheus, Alertmanager and the probe, and gives a
copy; what is on disk stays as it is. Names that contain a duration (`...:increase5m`) keep it, and
so do texts for people: a name is not a claim about time, a copy is not for reading. Bare numbers of
seconds in an expression are not durations to Prometheus, and are left alone.
"""

import re
from typing import Any

import yaml

from probe.demo import duration

# `timeout`, `startup_grace` and thresholds are not here: the model does not become faster.
_DURATIONS = {
    "evaluation_interval",
    "for",
    "group_interval",
    "group_wait",
    "interval",
    "keep_firing_for",
    "query_offset",
    "repeat_interval",
    "resolve_timeout",
    "scrape_interval",
    "scrape_timeout",
}
_FOR_PEOPLE = {"annotations", "labels"}

_TOKEN = re.compile(
    rf"""
    "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*`            # strings
    | \#[^\n]*                                                 # comments
    | [A-Za-z_][A-Za-z0-9_:]*                                  # names and keywords
    | (?P<duration>{duration.PATTERN})(?![A-Za-z0-9_.])
    | 0[xX][0-9a-fA-F]+ | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)? # numbers
    """,
    re.VERBOSE,
)


def shorten(text: str, factor: int) -> str:
    """The YAML `text` with its durations divided by `factor`, as YAML."""
    document = _shorten(yaml.safe_load(text), factor)
    return yaml.safe_dump(document, sort_keys=False, width=1000)


def shorten_expression(expression: str, factor: int) -> str:
    """PromQL with its ranges, steps, offsets and duration literals divided by `factor`."""

    def replace(token: re.Match[str]) -> str:
        found = token["duration"]
        return _divide(found, factor) if found else token[0]

    return _TOKEN.sub(replace, expression)


def _shorten(node: Any, factor: int) -> Any:
    if isinstance(node, list):
        return [_shorten(item, factor) for item in node]
    if isinstance(node, dict):
        return {key: _shorten_entry(key, value, factor) for key, value in node.items()}
    return node


def _shorten_entry(key: str, value: Any, factor: int) -> Any:
    if key in _FOR_PEOPLE:
        return value
    if key == "expr":
        return shorten_expression(str(value), factor)
    if key in _DURATIONS and isinstance(value, str):
        return _divide(value, factor)
    return _shorten(value, factor)


def _divide(text: str, factor: int) -> str:
    return duration.write(duration.parse(text) / factor)
