"""Which series there can be, and whether a PromQL expression asks only for such.

The labels of what an expression gives are worked out as Prometheus does, so that a recording is
known by its labels, too, and a label that an aggregation has dropped is missed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import promql_parser as promql
import yaml
from promql_parser import LabelModifierType, VectorMatchCardinality

from probe.metrics.catalogue import ALL_METRICS, INFO, MetricSpec

Labels = frozenset[str]

TARGET = frozenset({"cluster", "namespace", "job", "instance"})
"""Labels of every series that is scraped; the first two where an environment has them."""

ANY: Labels = frozenset({"*"})
"""Of series whose labels are not ours to know."""

NONE: Labels = frozenset()

FOREIGN: Mapping[str, Labels] = {"up": TARGET, "ALERTS": ANY}

KEEPS = {"topk", "bottomk"}  # aggregations that pick series instead of adding them up
SETS = {"and", "unless"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The labels of every series, by its name."""

    series: Mapping[str, Labels]
    metrics: Labels
    """Names of metrics as documentation has them: histograms without _bucket and so on."""

    @classmethod
    def of(cls, rules: str) -> Self:
        """What the daemon declares, and what the recordings in the text of `rules` add to it."""
        series = dict(FOREIGN)
        for declared in ALL_METRICS:
            series.update(_exposed(declared))
        metrics = frozenset(declared.name for declared in ALL_METRICS)
        records = [
            rule
            for group in yaml.safe_load(rules)["groups"]
            for rule in group["rules"]
            if "record" in rule
        ]
        series |= {rule["record"]: NONE for rule in records}
        while (learnt := _learn(series, records)) != series:  # a recording may read itself
            series = learnt
        return cls(series=series, metrics=metrics)

    def labels(self, expression: str) -> Labels:
        """Those that its series can have. ValueError for what is not PromQL."""
        return _Reader(series=self.series).labels(promql.parse(expression))

    def problems(self, expression: str) -> list[str]:
        """What it asks for and cannot get. ValueError for what is not PromQL."""
        reader = _Reader(series=self.series)
        reader.labels(promql.parse(expression))
        return reader.problems


def _exposed(declared: MetricSpec) -> Iterator[tuple[str, Labels]]:
    labels = ANY if declared is INFO else TARGET | set(declared.labels)
    if declared.kind == "histogram":
        yield f"{declared.name}_bucket", labels | {"le"}
        yield f"{declared.name}_count", labels
        yield f"{declared.name}_sum", labels
    else:
        yield declared.name, labels


def _learn(series: Mapping[str, Labels], records: list[dict[str, Any]]) -> dict[str, Labels]:
    """With the labels that the recordings have, going by what is known so far."""
    learnt = dict(series)
    for rule in records:
        found = _Reader(series=learnt).labels(promql.parse(rule["expr"]))
        learnt[rule["record"]] |= found | set(rule.get("labels", ()))
    return learnt


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    series: Mapping[str, Labels]
    problems: list[str] = field(default_factory=list)

    def labels(self, node: Any) -> Labels:
        """Those that the node's series can have; none for a number or a text."""
        match node:
            case promql.VectorSelector():
                found = self._selected(node)
            case promql.MatrixSelector():
                found = self._selected(node.vector_selector)
            case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
                found = self.labels(node.expr)
            case promql.Call():
                found = self._called(node)
            case promql.AggregateExpr():
                found = self._aggregated(node)
            case promql.BinaryExpr():
                found = self._joined(node)
            case _:
                found = NONE
        return found

    def _selected(self, selector: promql.VectorSelector) -> Labels:
        name = selector.name or "a selector without a name"
        if name not in self.series:
            self.problems.append(f"{name}: no such series")
        labels = self.series.get(name, ANY)
        self._require([one.name for one in selector.matchers.matchers], labels, f"{name} has no")
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
    """What arithmetic and comparisons leave of the labels of both sides."""
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
