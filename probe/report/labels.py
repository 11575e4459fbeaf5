"""Labels of the series of the daemon: those of its metrics, and those of the scrape target."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from probe.metrics.catalogue import ALL_METRICS
from probe.prometheus.promql import quote

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

# The labels that separate probes with the same name; the rules use them, too.
GROUP_LABELS = ("cluster", "namespace", "job")

Replica = frozenset[tuple[str, str]]
"""The labels of a scrape target, which identify a replica of the daemon."""


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


@dataclass(frozen=True, slots=True, order=True)
class ProbeGroup:
    """All replicas with a probe of one name in one cluster, namespace and job."""

    probe: str
    cluster: str = ""
    namespace: str = ""
    job: str = ""

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> "ProbeGroup":
        return cls(labels.get("probe", ""), *(labels.get(name, "") for name in GROUP_LABELS))

    @property
    def labels(self) -> dict[str, str]:
        """Cluster, namespace and job, as far as they exist."""
        return {name: getattr(self, name) for name in GROUP_LABELS if getattr(self, name)}

    def selector(self, name: str, *matchers: str) -> str:
        """Return a selector for series of the probe; `name` is a regular expression."""
        return self._selector(name, f"probe={quote(self.probe)}", *matchers)

    def target_selector(self, name: str, *matchers: str) -> str:
        """Return a selector for series of all its daemons; `name` is a regular expression."""
        return self._selector(name, *matchers)

    def _selector(self, name: str, *matchers: str) -> str:
        group = (f"{label}={quote(getattr(self, label))}" for label in GROUP_LABELS)
        return f"{{{', '.join((f'__name__=~{quote(name)}', *group, *matchers))}}}"
