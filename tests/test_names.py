"""Names of metrics, labels and recordings in rules, documents, dashboard and manifests exist."""

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
EXAMPLES = sorted((ROOT / "rules/examples").glob("*.yml"))
FILES = [
    RULES,
    *EXAMPLES,
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
    return Catalogue.of(*(path.read_text() for path in (RULES, *EXAMPLES)))


def unknown(text: str) -> Iterator[str]:
    """Yield the names in `text` that do not exist, and names with labels that they do not have."""
    known = {*catalogue().series, *catalogue().metrics}
    for name, star, braces in NAME.findall(text):
        ranges = re.fullmatch(r"(\d+[smhd],? ?)+", braces)
        names = [name + window for window in re.split(", ?", braces)] if ranges else [name]
        prefix = bool(star) or name == "inference_probe_"
        for full_name in names:
            is_prefix = prefix and any(other.startswith(full_name) for other in known)
            if full_name not in known and not is_prefix:
                yield full_name
        if not ranges and name in known:
            yield from _unknown_labels(name, braces)


def _unknown_labels(name: str, braces: str) -> Iterator[str]:
    """Yield the unknown labels in the braces after a name, which are PromQL or a list."""
    series = catalogue().series
    labels = series.get(name) or series[f"{name}_bucket"]
    # In the texts of alerts, templates fill in %s and %q.
    bare = re.sub(r'"[^"]*"|%[qs]', "", braces)
    for label in re.findall(r"(?<![\w.])([a-z]\w*)(?=\s*(?:[=!,|\\]|$))", bare):
        if label not in labels and "*" not in labels:
            yield f"{name}{{{label}}}"


def expressions() -> Iterator[Query]:
    for path in (RULES, *EXAMPLES):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                name = rule.get("record") or rule["alert"]
                yield Query(where=f"{path.name} {name}", expression=rule["expr"])
    yield from queries.dashboard_queries()
    yield from queries.annotation_queries()
    yield from queries.manifest_queries()
    for path in FILES:
        if path.suffix == ".md":
            yield from _in_prose(path)


def _in_prose(path: Path) -> Iterator[Query]:
    """Yield the PromQL in a document. Code that is not PromQL, `x{probe, reason}`, is left out."""
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
    """Every metric and recording in the file exists, with the labels that follow it."""
    names = sorted(set(unknown(path.read_text())))
    assert not names, f"{path.relative_to(ROOT)} has unknown names: {', '.join(names)}"


def test_expressions() -> None:
    """Every selector, aggregation and join uses labels that its series have."""
    # Documents may call a histogram by its name, without _bucket.
    histograms = {name for name in catalogue().metrics if name not in catalogue().series}
    problems = [
        f"{query.where}: {problem}"
        for query in expressions()
        if query.expression not in histograms
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
def test_problems_of_expressions(expression: str, problem: str) -> None:
    """Wrong names, unknown labels and labels that an aggregation drops are problems."""
    (message,) = catalogue().problems(expression)
    assert problem in message


@pytest.mark.parametrize(
    ("text", "expected"),
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
def test_problems_of_prose(text: str, expected: list[str]) -> None:
    """Unknown names and labels are found in all notations of the documents."""
    assert list(unknown(text)) == expected
