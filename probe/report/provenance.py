"""Versions of the daemons, and hashes of their config and of the rules, for a report."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from probe.metrics import catalogue
from probe.metrics.target_labels import split_labels
from probe.prometheus.client import PrometheusClient, PrometheusError
from probe.prometheus.probe_group import ProbeGroup

# Metrics that export the config of a probe.
_CONFIG = (catalogue.INFO, catalogue.INTERVAL, catalogue.TIMEOUT, catalogue.OBJECTIVE)


def read_versions(
    client: PrometheusClient, group: ProbeGroup, start: float, end: float
) -> tuple[str, ...]:
    """Return the versions of the daemons. Raises PrometheusError."""
    selector = group.target_selector(catalogue.BUILD.name)
    found = client.instant(f"last_over_time({selector}[{_window(start, end)}])", end)
    return tuple(sorted({split_labels(series.labels).metric["version"] for series in found}))


def read_config_hash(client: PrometheusClient, group: ProbeGroup, start: float, end: float) -> str:
    """Return a hash of the exported config: URL, labels, interval, timeout and objectives.

    All values that were exported in the period are hashed. Raises PrometheusError.
    """
    selector = group.selector("|".join(spec.name for spec in _CONFIG))
    found = client.instant(f"last_over_time({selector}[{_window(start, end)}])", end)
    facts = {
        json.dumps(
            [series.labels["__name__"], split_labels(series.labels).metric, series.value],
            sort_keys=True,
        )
        for series in found
    }
    return _hash(sorted(facts))


def read_rules_hash(client: PrometheusClient) -> str | None:
    """Return a hash of the loaded rules of inference-probe; None if there are none."""
    try:
        groups = client.rule_groups()
    except PrometheusError:  # Thanos without a ruler, or no permission
        return None
    own = [group for group in groups if str(group.get("name", "")).startswith("inference-probe")]
    rules = [
        [group["name"], *(rule.get(key) for key in ("name", "query", "duration", "labels"))]
        for group in sorted(own, key=lambda group: str(group["name"]))
        for rule in group.get("rules", ())
    ]
    return _hash(rules) if rules else None


def _window(start: float, end: float) -> str:
    return f"{round((end - start) * 1000)}ms"


def _hash(value: Sequence[Any]) -> str:
    """Return the beginning of the SHA-256 of a value as JSON."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
