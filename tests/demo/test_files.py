"""The config files of a demo, with divided durations."""

import pytest
import yaml

from probe.demo import files
from probe.demo.files import divide_durations, divide_expression, prometheus_duration
from probe.resources import resource_path


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(x[5m])", "rate(x[15s])"),
        ("max_over_time(x[1h:30s])", "max_over_time(x[3m:1s500ms])"),
        ("x offset 1d", "x offset 1h12m"),
        ("x offset -1m30s", "x offset -4s500ms"),
        ("increase(x:increase5m[5m])", "increase(x:increase5m[15s])"),
        ("time() - x > 5m", "time() - x > 15s"),
        ('label_replace(x[5m], "le", "\\"1h")[1h:]', 'label_replace(x[15s], "le", "\\"1h")[3m:]'),
    ],
)
def test_divide_expression(expression: str, expected: str) -> None:
    """Ranges, steps, offsets and literals are divided; names that contain a duration are not."""
    assert divide_expression(expression, 20) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "x{a=\"5m\", b='1h', c=`1d`} > 5",
        "x > 1e6 and y > 0x1d and z > 14.4 and m5m > .5",
        "x # over 5m\n> 1",
    ],
)
def test_divide_expression_keeps_the_rest(expression: str) -> None:
    """Strings, numbers, names and comments are not changed."""
    assert divide_expression(expression, 20) == expression


def test_keys_of_a_rule_file() -> None:
    """`for`, `keep_firing_for` and `interval` are divided; labels and annotations are not."""
    text = """
    groups:
      - name: 5m
        interval: 30s
        rules:
          - alert: Slow
            expr: x[5m] > 1
            for: 10m
            keep_firing_for: 1h
            labels: {for: 10m}
            annotations: {description: over 5m, interval: 5m}
    """
    (group,) = yaml.safe_load(divide_durations(text, 10))["groups"]
    assert group == {
        "name": "5m",
        "interval": "3s",
        "rules": [
            {
                "alert": "Slow",
                "expr": "x[30s] > 1",
                "for": "1m",
                "keep_firing_for": "6m",
                "labels": {"for": "10m"},
                "annotations": {"description": "over 5m", "interval": "5m"},
            }
        ],
    }


def test_factor_one() -> None:
    """Division by 1 changes nothing but the layout of the bundled rules."""
    text = resource_path("rules/inference-probe.rules.yml").read_text()
    assert yaml.safe_load(files.rules(1)) == yaml.safe_load(text)


def test_all_durations_of_the_bundled_rules_are_divided() -> None:
    """Division by 20 and then by 3 is division by 60, so no duration is left out."""
    assert yaml.safe_load(divide_durations(files.rules(20), 3)) == yaml.safe_load(files.rules(60))
    rules = [rule for group in yaml.safe_load(files.rules(20))["groups"] for rule in group["rules"]]
    assert not [rule["expr"] for rule in rules if "5m]" in rule["expr"]]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.00001, "1ms"), (1.5, "1s500ms"), (90.0, "1m30s"), (2592000.0, "30d")],
)
def test_prometheus_duration(seconds: float, text: str) -> None:
    """Durations have no decimals, and a duration above zero does not become zero."""
    assert prometheus_duration(seconds) == text
