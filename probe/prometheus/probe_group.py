"""Probes by name and by the labels of their scrape targets, which separate equal names."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from probe.prometheus.client import PrometheusClient
from probe.prometheus.promql import quote

# The labels that separate probes with the same name; the rules use them, too.
GROUP_LABELS = ("cluster", "namespace", "job")


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

    def has_labels(self, labels: Mapping[str, str]) -> bool:
        """Return whether all `labels`, which are of GROUP_LABELS, have these values."""
        return all(getattr(self, name) == value for name, value in labels.items())

    def selector(self, name: str, *matchers: str) -> str:
        """Return a selector for series of the probe; `name` is a regular expression."""
        return self._selector(name, f"probe={quote(self.probe)}", *matchers)

    def target_selector(self, name: str, *matchers: str) -> str:
        """Return a selector for series of all its daemons; `name` is a regular expression."""
        return self._selector(name, *matchers)

    def _selector(self, name: str, *matchers: str) -> str:
        group = (f"{label}={quote(getattr(self, label))}" for label in GROUP_LABELS)
        return f"{{{', '.join((f'__name__=~{quote(name)}', *group, *matchers))}}}"


def find_groups(
    client: PrometheusClient, selector: str, start: float, end: float
) -> list[ProbeGroup]:
    """Return the groups of the series of `selector` between two times (Unix seconds).

    Raises PrometheusError.
    """
    window = f"{round((end - start) * 1000)}ms"
    labels = ", ".join((*GROUP_LABELS, "probe"))
    found = client.instant(f"group by ({labels}) (last_over_time({selector}[{window}]))", end)
    return sorted(ProbeGroup.of(series.labels) for series in found)


def selector_flags(groups: Sequence[ProbeGroup]) -> str:
    """Return the flags `--selector` that select each of `groups`, for an error message."""
    names = [name for name in GROUP_LABELS if any(group.labels.get(name) for group in groups)]
    labels = sorted({tuple(f"{name}={getattr(group, name)}" for name in names) for group in groups})
    return ", or ".join(
        " ".join(f"--selector={shlex.quote(label)}" for label in group) for group in labels
    )
