"""A copy of the rules that runs faster and says the same."""

import pytest
import yaml

from probe.demo import files
from probe.demo.time_scale import shorten, shorten_expression
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
def test_durations_in_an_expression_are_divided(expression: str, expected: str) -> None:
    """Ranges, steps, offsets and literals; a name that contains a duration keeps it."""
    assert shorten_expression(expression, 20) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "x{a=\"5m\", b='1h', c=`1d`} > 5",
        "x > 1e6 and y > 0x1d and z > 14.4 and m5m > .5",
        "x # over 5m\n> 1",
    ],
)
def test_nothing_else_in_an_expression_is_touched(expression: str) -> None:
    """Texts, numbers, names and comments are as they were."""
    assert shorten_expression(expression, 20) == expression


def test_fields_of_a_rules_file() -> None:
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
    (group,) = yaml.safe_load(shorten(text, 10))["groups"]
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


def test_factor_one_changes_nothing_but_the_layout() -> None:
    """The bundled rules, shortened by 1, are the bundled rules."""
    text = resource_path("rules/inference-probe.rules.yml").read_text()
    assert yaml.safe_load(files.rules(1)) == yaml.safe_load(text)


def test_no_duration_of_the_bundled_rules_stays_behind() -> None:
    """Shortened by 20 and by 3, they are as if shortened by 60: nothing escapes the division."""
    assert yaml.safe_load(shorten(files.rules(20), 3)) == yaml.safe_load(files.rules(60))
    assert "5m]" not in files.rules(20)
