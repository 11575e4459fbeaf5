"""The arithmetic of docs/capacity.md, and the thresholds in its manifests."""

import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml

from tests.docs.markdown import blocks, spans
from tests.queries import ROOT

DOCUMENT = ROOT / "docs/capacity.md"
# Quantities with units, and what replaces the unit in an expression of Python.
UNITS = {"ms": "e-3", "/s": "", "%": "e-2"}
EQUATION = re.compile(r"([\d.x/() +-]|ms|/s|%)+ = ([\d.]+)(/s|%|)")


def equations() -> list[str]:
    return [span for span in spans(DOCUMENT) if EQUATION.fullmatch(span)]


def manifests() -> Iterator[dict[str, Any]]:
    for block in blocks(DOCUMENT):
        document = yaml.safe_load(block.text) if block.language == "yaml" else {}
        if "kind" in document:
            yield document


def evaluate(expression: str) -> float:
    """Return the value of one side of an equation, which has only digits and operators."""
    for unit, factor in UNITS.items():
        expression = expression.replace(unit, factor)
    return float(eval(expression.replace("x", "*")))


@pytest.mark.parametrize("equation", equations())
def test_equations(equation: str) -> None:
    """The right side of each equation is its left side, rounded."""
    left, right = equation.split(" = ")
    match = EQUATION.fullmatch(equation)
    assert match
    decimals = len(match[2].partition(".")[2]) + (2 if match[3] == "%" else 0)
    assert round(evaluate(left), decimals) == pytest.approx(evaluate(right))


def test_thresholds_of_manifests() -> None:
    """Each manifest has the threshold per replica of the example, in the unit of its field."""
    (equation,) = (text for text in equations() if text.startswith("16.8 / 2"))
    threshold = evaluate(equation.split(" = ")[1])
    keda, route, autoscaler = (manifest["spec"] for manifest in manifests())
    assert float(keda["triggers"][0]["metadata"]["threshold"]) == threshold
    assert route["scalingMetric"]["concurrency"]["targetValue"] == int(threshold)
    target = autoscaler["metrics"][0]["pods"]["target"]
    assert target == {"type": "AverageValue", "averageValue": f"{1000 * threshold:.0f}m"}


def test_queries_of_requests_in_flight() -> None:
    """The queries in the table are PromQL, and the trigger of KEDA has the one for vLLM."""
    queries = [span for span in spans(DOCUMENT) if span.startswith("sum(")]
    assert len(queries) == 4
    for query in queries:
        promql_parser.parse(query)
    keda = next(manifests())["spec"]
    assert keda["triggers"][0]["metadata"]["query"] == queries[0]
