"""PromQL of the dashboard and of the manifests in deploy/, with all variables replaced."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
DASHBOARD = ROOT / "config/grafana/dashboards/inference-probe.json"
DEPLOY = ROOT / "deploy"

# Values of the dashboard's variables: everything selected, a scrape interval of 15 s.
GRAFANA = {
    "cluster": ".*",
    "namespace": ".*",
    "job": ".+",
    "probe": ".+",
    "quantile": "0.95",
    "__rate_interval": "1m",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    where: str
    expression: str


def documents(name: str) -> list[dict[str, Any]]:
    """Return the documents of a YAML file in deploy/."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def document(name: str, kind: str) -> dict[str, Any]:
    """Return the only document of a kind in a YAML file in deploy/."""
    (match,) = (candidate for candidate in documents(name) if candidate.get("kind") == kind)
    return match


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return loaded


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard without its rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def dashboard_queries() -> list[Query]:
    return [
        Query(
            where=f"panel {panel['title']!r}, {target['refId']}",
            expression=fill(target["expr"], r"\$\{?(\w+)\}?", GRAFANA),
        )
        for panel in panels()
        for target in panel["targets"]
    ]


def annotation_queries() -> list[Query]:
    return [
        Query(
            where=f"annotation {annotation['name']!r}",
            expression=fill(annotation["expr"], r"\$(\w+)", GRAFANA),
        )
        for annotation in dashboard()["annotations"]["list"]
    ]


def manifest_queries() -> list[Query]:
    return [*_keda(), *_prometheus_adapter(), *_argo_rollouts(), *_flagger()]


def fill(template: str, pattern: str, values: Mapping[str, str]) -> str:
    """Replace the variables of a template. Group 1 of `pattern` is the name of a variable.

    Raises KeyError for a variable without a value.
    """
    return re.sub(pattern, lambda match: values[match[1]], template)


def _keda() -> Iterator[Query]:
    for trigger in document("keda/scaledobject.yml", "ScaledObject")["spec"]["triggers"]:
        if trigger["type"] == "prometheus":
            yield Query(where=f"keda {trigger['name']}", expression=trigger["metadata"]["query"])


def _prometheus_adapter() -> Iterator[Query]:
    """Yield the queries that the adapter runs for the HorizontalPodAutoscaler."""
    hpa = document("prometheus-adapter/hpa.yml", "HorizontalPodAutoscaler")
    (config,) = documents("prometheus-adapter/config.yml")
    rules = {rule["name"]["as"]: rule for rule in config["externalRules"]}
    for metric in hpa["spec"]["metrics"]:
        if metric["type"] == "External":
            external = metric["external"]["metric"]
            rule = rules[external["name"]]
            labels = external["selector"]["matchLabels"].items()
            values = {
                "Series": rule["seriesQuery"].partition("{")[0],
                "LabelMatchers": ",".join(f'{label}="{value}"' for label, value in labels),
            }
            expression = fill(rule["metricsQuery"], r"<<\.(\w+)>>", values)
            yield Query(where=f"prometheus-adapter {external['name']}", expression=expression)


def _argo_rollouts() -> Iterator[Query]:
    """Yield the queries of the analysis with the arguments of the rollout."""
    rollout = document("argo-rollouts/rollout.yml", "Rollout")
    steps = rollout["spec"]["strategy"]["canary"]["steps"]
    analysis = next(step["analysis"] for step in steps if "analysis" in step)
    values = {argument["name"]: argument["value"] for argument in analysis["args"]}
    template = document("argo-rollouts/analysis-template.yml", "AnalysisTemplate")
    for metric in template["spec"]["metrics"]:
        query = metric["provider"]["prometheus"]["query"]
        expression = fill(query, r"\{\{args\.([\w-]+)\}\}", values)
        yield Query(where=f"argo-rollouts {metric['name']}", expression=expression)


def _flagger() -> Iterator[Query]:
    """Yield the queries of the metric template with the variables of the canary."""
    query = document("flagger/metric-template.yml", "MetricTemplate")["spec"]["query"]
    for metric in document("flagger/canary.yml", "Canary")["spec"]["analysis"]["metrics"]:
        values = metric["templateVariables"] | {"interval": metric["interval"]}
        expression = fill(query, r"\{\{ (?:variables\.)?(\w+) \}\}", values)
        yield Query(where=f"flagger {metric['name']}", expression=expression)
