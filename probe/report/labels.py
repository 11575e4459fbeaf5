"""The replicas of a probe, by the labels of their scrape targets."""

from collections.abc import Mapping
from dataclasses import dataclass

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

    def selector(self, name: str, *matchers: str) -> str:
        """Return a selector for series of the probe; `name` is a regular expression."""
        return self._selector(name, f"probe={quote(self.probe)}", *matchers)

    def target_selector(self, name: str, *matchers: str) -> str:
        """Return a selector for series of all its daemons; `name` is a regular expression."""
        return self._selector(name, *matchers)

    def _selector(self, name: str, *matchers: str) -> str:
        group = (f"{label}={quote(getattr(self, label))}" for label in GROUP_LABELS)
        return f"{{{', '.join((f'__name__=~{quote(name)}', *group, *matchers))}}}"
