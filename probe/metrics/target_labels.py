"""Labels of the series of the daemon: those of its metrics, and those of the scrape target."""

from collections.abc import Mapping
from typing import NamedTuple

from probe.metrics.catalogue import ALL_METRICS

_HISTOGRAM_SUFFIXES = ("_bucket", "_count", "_sum")

_METRIC_LABELS: dict[str, frozenset[str]] = {
    **{spec.name: frozenset(spec.labels) for spec in ALL_METRICS},
    **{
        spec.name + suffix: frozenset((*spec.labels, "le"))
        for spec in ALL_METRICS
        if spec.kind == "histogram"
        for suffix in _HISTOGRAM_SUFFIXES
    },
}

# The labels of a scrape target, which identify a replica of the daemon.
Replica = frozenset[tuple[str, str]]


class SplitLabels(NamedTuple):
    """The labels of a series: those of the metric, and those of its target."""

    metric: dict[str, str]
    target: Replica


def split_labels(labels: Mapping[str, str]) -> SplitLabels:
    """Return the labels of a series of the daemon, which has its name.

    If the target has a label with the name of a label of the metric, Prometheus adds `exported_` to
    the name of the latter.
    """
    own = _METRIC_LABELS.get(labels["__name__"], frozenset())
    metric, target = {}, []
    for name, value in labels.items():
        plain = name.removeprefix("exported_")
        if name != plain and plain in own and plain in labels:
            metric[plain] = value
        elif name in own and f"exported_{name}" not in labels:
            metric[name] = value
        elif name != "__name__":
            target.append((name, value))
    return SplitLabels(metric, frozenset(target))
