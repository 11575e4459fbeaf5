"""The PromQL of the dashboard and of the manifests in deploy/, as those who run it fill it in."""

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

GRAFANA = {
    "cluster": ".*",
    "namespace": ".*",
    "job": ".+",
    "probe": ".+",
    "quantile": "0.95",
    "__rate_interval": "1m",
}
"""What Grafana puts in for its variables when all is chosen, scraping every 15 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    where: str
    expression: str


def documents(name: str) -> list[dict[str, Any]]:
    """Those of a YAML file in deploy/."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text()))


def document(name: str, kind: str) -> dict[str, Any]:
    """The one of that kind."""
    (found,) = (one for one in documents(name) if one.get("kind") == kind)
    return found


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return loaded


def panels() -> list[dict[str, Any]]:
    """Those that show something: all but the rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def of_the_dashboard() -> list[Query]:
    return [
        Query(
            where=f"panel {panel['title']!r}, {target['refId']}",
            expression=fill(target["expr"], r"\$\{?(\w+)\}?", GRAFANA),
        )
        for panel in panels()
        for target in panel["targets"]
    ]


def of_the_annotations() -> list[Query]:
    return [
        Query(
            where=f"annotation {one['name']!r}", expression=fill(one["expr"], r"\$(\w+)", GRAFANA)
        )
        for one in dashboard()["annotations"]["list"]
    ]


def of_the_consumers() -> list[Query]:
    return [*_keda(), *_prometheus_adapter(), *_argo_rollouts(), *_flagger()]


def fill(template: str, place: str, values: Mapping[str, str]) -> str:
    """KeyError for a place that nothing is known for. Group 1 of the pattern is its name."""
    return re.sub(place, lambda found: values[found[1]], template)


def _keda() -> Iterator[Query]:
    for trigger in document("keda/scaledobject.yml", "ScaledObject")["spec"]["triggers"]:
        if trigger["type"] == "prometheus":
            yield Query(where=f"keda {trigger['name']}", expression=trigger["metadata"]["query"])


def _prometheus_adapter() -> Iterator[Query]:
    """As the adapter puts it together for the HorizontalPodAutoscaler beside it."""
    hpa = document("prometheus-adapter/hpa.yml", "HorizontalPodAutoscaler")
    (config,) = documents("prometheus-adapter/config.yml")
    rules = {rule["name"]["as"]: rule for rule in config["externalRules"]}
    for metric in hpa["spec"]["metrics"]:
        if metric["type"] == "External":
            asked = metric["external"]["metric"]
            rule = rules[asked["name"]]
            labels = asked["selector"]["matchLabels"].items()
            values = {
                "Series": rule["seriesQuery"].partition("{")[0],
                "LabelMatchers": ",".join(f'{label}="{value}"' for label, value in labels),
            }
            expression = fill(rule["metricsQuery"], r"<<\.(\w+)>>", values)
            yield Query(where=f"prometheus-adapter {asked['name']}", expression=expression)


def _argo_rollouts() -> Iterator[Query]:
    """With the arguments that the rollout gives."""
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
    """With the variables and the interval that the canary gives."""
    query = document("flagger/metric-template.yml", "MetricTemplate")["spec"]["query"]
    for metric in document("flagger/canary.yml", "Canary")["spec"]["analysis"]["metrics"]:
        values = metric["templateVariables"] | {"interval": metric["interval"]}
        expression = fill(query, r"\{\{ (?:variables\.)?(\w+) \}\}", values)
        yield Query(where=f"flagger {metric['name']}", expression=expression)
