"""The config files of a demo: the packaged ones with other addresses and divided durations.

Demos and tests cannot wait for hours. `divide_durations` works on the text of Prometheus rules and
of the configs of Prometheus, Alertmanager and the daemon, and returns a copy. Names that contain a
duration (`...:increase5m`), labels and annotations stay the same. Bare numbers of seconds in an
expression are not durations to Prometheus, and stay the same, too.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from probe.config.units import parse_duration
from probe.demo.fault import ModelType
from probe.resources import resource_path

# Time between two probes, before the division.
PROBE_INTERVAL_SECONDS = 10.0


def rules(factor: int) -> str:
    return divide_durations(_read("rules/inference-probe.rules.yml"), factor)


def prometheus(factor: int, *, rules: str, target: str, alertmanager: str) -> str:
    """Return the config of Prometheus; `rules` is a path, the others are HOST:PORT."""
    config = yaml.safe_load(divide_durations(_read("config/prometheus.yml"), factor))
    config["rule_files"] = [rules]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    return yaml.safe_dump(config)


def alertmanager(factor: int) -> str:
    return divide_durations(_read("config/alertmanager.yml"), factor)


def probe(factor: int, *, url: str, model: ModelType = ModelType.SENTIMENT) -> str:
    """Return the config of the daemon: one probe with objectives on time and on availability."""
    entry = {
        "name": model.probe_name,
        "url": url,
        "interval": prometheus_duration(PROBE_INTERVAL_SECONDS / factor),
        "labels": {"model": model.value},
        **_PROBES[model],
    }
    return yaml.safe_dump({"probes": [entry]}, sort_keys=False)


_CLASSIFIER = {
    "method": "POST",
    "json": {"data": "sample_input"},
    "timeout": "2s",
    "expect": {"json": {"$.result": {"in": ["positive", "negative"]}}},
}

# The keys that depend on the model.
_PROBES: Mapping[ModelType, Mapping[str, Any]] = {
    ModelType.SENTIMENT: {
        **_CLASSIFIER,
        "objectives": [
            {"name": "fast", "target": "99%", "latency": "500ms"},
            {"name": "up", "target": "99.9%"},
        ],
    },
    ModelType.LLM: {
        "protocol": {"openai-chat": {"model": "toy", "prompt": "Is ice cold?", "max_tokens": 16}},
        "timeout": "5s",
        "first_token_timeout": "3s",
        "stall_timeout": "1s",
        "objectives": [
            {"name": "first-token", "target": "99%", "time_to_first_token": "500ms"},
            {"name": "per-token", "target": "99%", "time_per_output_token": "100ms"},
            {"name": "fast", "target": "99%", "latency": "2s"},
            {"name": "up", "target": "99.9%"},
        ],
    },
    ModelType.BATCHING: {
        **_CLASSIFIER,
        "objectives": [
            {"name": "fast", "target": "95%", "latency": "120ms"},
            {"name": "up", "target": "99.9%"},
        ],
    },
}


def _read(name: str) -> str:
    return resource_path(name).read_text()


# Keys whose values are durations. `timeout`, `startup_grace` and thresholds are left out, because
# the model does not become faster.
_DURATION_KEYS = {
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
_TEXT_KEYS = {"annotations", "labels"}

_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}

# Tokens of PromQL, enough to find the durations.
_TOKEN = re.compile(
    r"""
    "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*`            # strings
    | \#[^\n]*                                                 # comments
    | [A-Za-z_][A-Za-z0-9_:]*                                  # names and keywords
    | (?P<duration>(?:\d+(?:ms|[smhd]))+)(?![A-Za-z0-9_.])
    | 0[xX][0-9a-fA-F]+ | (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)? # numbers
    """,
    re.VERBOSE,
)


def divide_durations(text: str, factor: int) -> str:
    """Return the YAML document `text` with its durations divided by `factor`."""
    document = _divide_node(yaml.safe_load(text), factor)
    return yaml.safe_dump(document, sort_keys=False, width=1000)


def divide_expression(expression: str, factor: int) -> str:
    """Return a PromQL expression with ranges, steps, offsets and duration literals divided."""

    def replace(token: re.Match[str]) -> str:
        duration = token["duration"]
        return _divide(duration, factor) if duration else token[0]

    return _TOKEN.sub(replace, expression)


def prometheus_duration(seconds: float) -> str:
    """Return a duration that Prometheus can parse, which has no decimals: `1s500ms`.

    A duration below a millisecond is rounded up to one.
    """
    rest = max(round(seconds * 1000), 1 if seconds > 0 else 0)
    text = ""
    for unit, milliseconds in _UNITS_MS.items():
        count, rest = divmod(rest, milliseconds)
        if count:
            text += f"{count}{unit}"
    return text or "0s"


def _divide_node(node: Any, factor: int) -> Any:
    if isinstance(node, list):
        return [_divide_node(item, factor) for item in node]
    if isinstance(node, dict):
        return {key: _divide_value(key, value, factor) for key, value in node.items()}
    return node


def _divide_value(key: str, value: Any, factor: int) -> Any:
    if key in _TEXT_KEYS:
        return value
    if key == "expr":
        return divide_expression(str(value), factor)
    if key in _DURATION_KEYS and isinstance(value, str):
        return _divide(value, factor)
    return _divide_node(value, factor)


def _divide(duration: str, factor: int) -> str:
    return prometheus_duration(parse_duration(duration) / factor)
