"""Check of PromQL expressions against the existing series and their labels.

The labels of an expression's result are derived as in Prometheus. The labels of recordings are
therefore known, and a label that an aggregation has dropped is reported.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import promql_parser as promql
import yaml
from promql_parser import LabelModifierType, VectorMatchCardinality

from probe.load.exporter import LABELS, METRICS, PREFIX
from probe.metrics.catalogue import (
    ALERT_INFO,
    ALL_METRICS,
    INFO,
    SLO_ALERT_INFO,
    MetricSpec,
)

Labels = frozenset[str]

# Labels of every scraped series; cluster and namespace are optional.
TARGET = frozenset({"cluster", "namespace", "job", "instance"})

# Labels of a series that are not known.
ANY: Labels = frozenset({"*"})

NONE: Labels = frozenset()

FOREIGN: Mapping[str, Labels] = {
    "up": TARGET,
    "process_start_time_seconds": TARGET,
    "ALERTS": ANY,
    "http_requests_total": ANY,
    "nv_inference_pending_request_count": TARGET | {"model", "version"},
    "nv_inference_request_success": TARGET | {"model", "version"},
    "tgi_queue_size": TARGET,
    "tgi_request_count": TARGET,
    "tgi_request_success": TARGET,
    "vllm:num_requests_waiting": TARGET | {"engine", "model_name"},
    "vllm:request_success_total": TARGET | {"engine", "model_name", "finished_reason"},
    "vllm:time_to_first_token_seconds_bucket": TARGET | {"engine", "model_name", "le"},
}

# Aggregations that select series instead of combining them.
KEEPS = {"topk", "bottomk"}
SETS = {"and", "unless"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The labels of every series, by its name."""

    series: Mapping[str, Labels]
    metrics: Labels
    """Names of metrics without suffixes such as _bucket."""

    @classmethod
    def of(cls, *rules: str) -> Self:
        """Return the metrics of the daemon and the recordings in the texts of `rules`."""
        series = dict(FOREIGN)
        for metric in ALL_METRICS:
            series.update(_exposed(metric))
        series |= dict(_exposed_by_load_tests())
        metrics = frozenset(
            [
                *(metric.name for metric in ALL_METRICS),
                *(PREFIX + metric.name for metric in METRICS),
            ]
        )
        records = [
            rule
            for text in rules
            for group in yaml.safe_load(text)["groups"]
            for rule in group["rules"]
            if "record" in rule
        ]
        series |= {rule["record"]: NONE for rule in records}
        # Repeat until nothing changes, because a recording may read itself.
        while (derived := _derive(series, records)) != series:
            series = derived
        return cls(series=series, metrics=metrics)

    def labels(self, expression: str) -> Labels:
        """Return the possible labels of the result; raise ValueError if it is not PromQL."""
        return _Reader(series=self.series).labels(promql.parse(expression))

    def problems(self, expression: str) -> list[str]:
        """Return the unknown series and labels; raise ValueError if it is not PromQL."""
        reader = _Reader(series=self.series)
        reader.labels(promql.parse(expression))
        return reader.problems


def _exposed(metric: MetricSpec) -> Iterator[tuple[str, Labels]]:
    has_config_labels = metric in (INFO, ALERT_INFO, SLO_ALERT_INFO)
    labels = ANY if has_config_labels else TARGET | set(metric.labels)
    if "reason" in labels:
        # The name of the label if the target has a label `reason`, too.
        labels |= {"exported_reason"}
    if metric.kind == "histogram":
        yield f"{metric.name}_bucket", labels | {"le"}
        yield f"{metric.name}_count", labels
        yield f"{metric.name}_sum", labels
    else:
        yield metric.name, labels


def _exposed_by_load_tests() -> Iterator[tuple[str, Labels]]:
    """Yield the series of a share of a load test, with their labels."""
    suffixes = {"counter": "_total", "gauge": "", "histogram": "_bucket"}
    for metric in METRICS:
        labels = TARGET | {*LABELS, *metric.labels}
        if metric.kind == "histogram":
            labels |= {"le"}
        yield f"{PREFIX}{metric.name}{suffixes[metric.kind]}", labels


def _derive(series: Mapping[str, Labels], records: list[dict[str, Any]]) -> dict[str, Labels]:
    """Add the labels of the recordings, as far as `series` determines them."""
    derived = dict(series)
    for rule in records:
        labels = _Reader(series=derived).labels(promql.parse(rule["expr"]))
        derived[rule["record"]] |= labels | set(rule.get("labels", ()))
    return derived


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    series: Mapping[str, Labels]
    problems: list[str] = field(default_factory=list)

    def labels(self, node: Any) -> Labels:
        """Return the possible labels of a node's series; none for a number or a text."""
        match node:
            case promql.VectorSelector():
                labels = self._selected(node)
            case promql.MatrixSelector():
                labels = self._selected(node.vector_selector)
            case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
                labels = self.labels(node.expr)
            case promql.Call():
                labels = self._called(node)
            case promql.AggregateExpr():
                labels = self._aggregated(node)
            case promql.BinaryExpr():
                labels = self._joined(node)
            case _:
                labels = NONE
        return labels

    def _selected(self, selector: promql.VectorSelector) -> Labels:
        name = selector.name or "a selector without a name"
        if name not in self.series:
            self.problems.append(f"{name}: no such series")
        labels = self.series.get(name, ANY)
        matched = [matcher.name for matcher in selector.matchers.matchers]
        self._require(matched, labels, f"{name} has no")
        return labels

    def _called(self, call: promql.Call) -> Labels:
        labels = NONE.union(*(self.labels(argument) for argument in call.args))
        if call.func.name == "histogram_quantile":
            self._require(["le"], labels, "histogram_quantile of series without")
            return labels - {"le"}
        if call.func.name in ("label_replace", "label_join"):
            return labels | {call.args[1].val}
        return labels

    def _aggregated(self, node: promql.AggregateExpr) -> Labels:
        labels = self.labels(node.expr)
        if str(node.op) in KEEPS:
            return labels
        if node.modifier is None:
            return NONE
        named = node.modifier.labels
        self._require(named, labels, f"{node.op} over series without")
        if node.modifier.type == promql.AggModifierType.By:
            return frozenset(named)
        return labels - set(named)

    def _joined(self, node: promql.BinaryExpr) -> Labels:
        left, right = self.labels(node.lhs), self.labels(node.rhs)
        operator = str(node.op)
        if node.modifier and node.modifier.matching:
            named = node.modifier.matching.labels
            self._require(named, left | right, f"{operator} between series without")
        if operator == "or":
            return left | right
        if operator in SETS or _is_number(node.rhs):
            return left
        if _is_number(node.lhs):
            return right
        return _matched(left, right, node.modifier)

    def _require(self, wanted: list[str], labels: Labels, problem: str) -> None:
        known = labels | ({*wanted} if labels >= ANY else {"__name__"})
        missing = [label for label in wanted if label not in known]
        self.problems.extend(f"{problem} label {label!r}" for label in missing)


def _matched(left: Labels, right: Labels, modifier: promql.BinModifier | None) -> Labels:
    """Return the labels of the result of arithmetic or a comparison."""
    if modifier is None:
        return left | right
    if modifier.card == VectorMatchCardinality.ManyToOne:
        return left.union(modifier.group_labels or ())
    if modifier.card == VectorMatchCardinality.OneToMany:
        return right.union(modifier.group_labels or ())
    if modifier.matching is None:
        return left | right
    if modifier.matching.type == LabelModifierType.Include:
        return frozenset(modifier.matching.labels)
    return (left | right).difference(modifier.matching.labels)


def _is_number(node: Any) -> bool:
    if isinstance(node, promql.ParenExpr | promql.UnaryExpr):
        return _is_number(node.expr)
    if isinstance(node, promql.BinaryExpr):
        return _is_number(node.lhs) and _is_number(node.rhs)
    is_scalar = isinstance(node, promql.Call) and node.func.name in ("time", "scalar", "pi")
    return is_scalar or isinstance(node, promql.NumberLiteral)
