"""Metrics, labels and recordings are called the same wherever they are written."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests import queries
from tests.promql import Catalogue
from tests.queries import ROOT, Query

RULES = ROOT / "rules/inference-probe.rules.yml"
FILES = [
    RULES,
    ROOT / "README.md",
    ROOT / "rules/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(path for path in (ROOT / "config/grafana").rglob("*") if path.is_file()),
    *sorted(path for path in (ROOT / "deploy").rglob("*") if path.is_file()),
]

NAME = re.compile(r"(?<![\w:./-])(inference_probe[_:][\w:]*)(\*?)(?:\{([^{}]*)\})?")
CODE = re.compile(r"```promql\n(.*?)```|`([^`\n]+)`", re.DOTALL)


@cache
def catalogue() -> Catalogue:
    return Catalogue.of(RULES.read_text())


def unknown(text: str) -> Iterator[str]:
    """Names in `text` that nothing makes, and labels behind them that they do not have."""
    made = {*catalogue().series, *catalogue().metrics}
    for name, star, braces in NAME.findall(text):
        ranges = re.fullmatch(r"(\d+[smhd],? ?)+", braces)
        names = [name + one for one in re.split(", ?", braces)] if ranges else [name]
        prefix = bool(star) or name == "inference_probe_"
        for one in names:
            if one not in made and not (prefix and any(it.startswith(one) for it in made)):
                yield one
        if not ranges and name in made:
            yield from _strangers(name, braces)


def _strangers(name: str, braces: str) -> Iterator[str]:
    """Labels in the braces behind a name, as PromQL has them or only listed."""
    has = catalogue().series
    labels = has.get(name) or has[f"{name}_bucket"]
    bare = re.sub(r'"[^"]*"', "", braces)
    for label in re.findall(r"(?<![\w.])([a-z]\w*)(?=\s*(?:[=!,|\\]|$))", bare):
        if label not in labels and "*" not in labels:
            yield f"{name}{{{label}}}"


def expressions() -> Iterator[Query]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            what = rule.get("record") or rule["alert"]
            yield Query(where=f"{RULES.name} {what}", expression=rule["expr"])
    yield from queries.of_the_dashboard()
    yield from queries.of_the_annotations()
    yield from queries.of_the_consumers()
    for path in FILES:
        if path.suffix == ".md":
            yield from _in_prose(path)


def _in_prose(path: Path) -> Iterator[Query]:
    """Code in a text that is PromQL about our series. `x{probe, reason}` is not, and no fault."""
    for block, span in CODE.findall(path.read_text()):
        if "inference_probe" not in (code := block or span):
            continue
        try:
            catalogue().problems(code)
        except ValueError:
            assert not block, f"{path}: not PromQL: {block}"
        else:
            yield Query(where=f"{path.name}: {code}", expression=code)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names(path: Path) -> None:
    """Every metric and recording in the file is declared or recorded, and has the labels that are
    written behind it.
    """
    found = sorted(set(unknown(path.read_text())))
    assert not found, f"{path.relative_to(ROOT)} names what nothing makes: {', '.join(found)}"


def test_expressions() -> None:
    """Every selector, aggregation and join asks for labels that its series have."""
    bare = {name for name in catalogue().metrics if name not in catalogue().series}
    problems = [
        f"{query.where}: {problem}"
        for query in expressions()
        if query.expression not in bare  # prose may call a histogram by its name
        for problem in catalogue().problems(query.expression)
    ]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("inference_probe_run_total", "no such series"),
        ("inference_probe_latency_seconds", "no such series"),
        ('inference_probe_runs_total{reason="dns"}', "has no label 'reason'"),
        ("sum by (phase) (inference_probe_runs_total)", "sum over series without label 'phase'"),
        ("inference_probe:slo_budget:ratio{instance='a'}", "has no label 'instance'"),
        ("max(up) / on (job) max(up)", "/ between series without label 'job'"),
        ("histogram_quantile(0.5, sum by (job) (up))", "without label 'le'"),
    ],
)
def test_what_is_found(expression: str, problem: str) -> None:
    """A wrong name, a label that is not there, and one that was aggregated away."""
    (said,) = catalogue().problems(expression)
    assert problem in said


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see `inference_probe_runs_total`, inference_probe_latency_seconds{probe, outcome}", []),
        ('`inference_probe:latency_seconds:quantile5m{quantile="0.5"\\|"0.9"}`', []),
        (
            "inference_probe:slo_bad:increase{5m}, inference_probe:slo_*, prefix inference_probe_",
            [],
        ),
        ("inference_probe_run_total", ["inference_probe_run_total"]),
        ("inference_probe:slo_bad:increase{5m,7m}", ["inference_probe:slo_bad:increase7m"]),
        ("inference_probe_runs_total{reason}", ["inference_probe_runs_total{reason}"]),
        ('inference_probe_runs_total{slo="a"}', ["inference_probe_runs_total{slo}"]),
    ],
)
def test_what_is_found_in_prose(text: str, found: list[str]) -> None:
    """Names and their labels, however a sentence writes them."""
    assert list(unknown(text)) == found
