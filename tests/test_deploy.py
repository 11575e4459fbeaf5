"""The manifests for autoscalers and rollbacks: fields whose defaults, or absence, would do harm.

Why: docs/autoscaling-and-rollback.md. The queries themselves run in tests/e2e/test_queries.py.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from probe.config.loader import load
from probe.config.schema import Probe
from probe.config.units import parse_duration
from tests.queries import DEPLOY, ROOT, document, documents

DOCUMENT = (ROOT / "docs/autoscaling-and-rollback.md").read_text()
WINDOW = 300.0  # seconds, of the recordings that the manifests ask for
NEWS = 60.0  # seconds until a request is in a recording: a scrape and an evaluation
CANARY = "sentiment-canary"


@pytest.fixture
def probes(tmp_path: Path) -> dict[str, Probe]:
    """Those of the config in the document."""
    (text,) = re.findall(r"```yaml\n(probes:.*?)```", DOCUMENT, re.DOTALL)
    config = tmp_path / "probe.yml"
    config.write_text(text)
    return {probe.name: probe for probe in load(config, environ={}).probes}


def keda() -> dict[str, Any]:
    spec: dict[str, Any] = document("keda/scaledobject.yml", "ScaledObject")["spec"]
    return spec


def hpa() -> dict[str, Any]:
    spec: dict[str, Any] = document("prometheus-adapter/hpa.yml", "HorizontalPodAutoscaler")["spec"]
    return spec


def rollout() -> dict[str, Any]:
    strategy = document("argo-rollouts/rollout.yml", "Rollout")["spec"]["strategy"]
    canary: dict[str, Any] = strategy["canary"]
    return canary


def analyses() -> list[dict[str, Any]]:
    template = document("argo-rollouts/analysis-template.yml", "AnalysisTemplate")
    metrics: list[dict[str, Any]] = template["spec"]["metrics"]
    return metrics


def flagger() -> dict[str, Any]:
    analysis: dict[str, Any] = document("flagger/canary.yml", "Canary")["spec"]["analysis"]
    return analysis


def test_load_decides_first() -> None:
    """Both autoscalers have another metric: a share of bad requests has no set point."""
    assert [trigger["type"] for trigger in keda()["triggers"]] == ["cpu", "prometheus"]
    assert [metric["type"] for metric in hpa()["metrics"]] == ["Resource", "External"]


def test_not_divided_by_the_replicas() -> None:
    """The share is compared as it is, and cut off where it doubles the replicas."""
    _, trigger = keda()["triggers"]
    assert trigger["metricType"] == "Value"
    target = hpa()["metrics"][1]["external"]["target"]
    assert target == {"type": "Value", "value": trigger["metadata"]["threshold"]}
    (config,) = documents("prometheus-adapter/config.yml")
    for query in (trigger["metadata"]["query"], config["externalRules"][0]["metricsQuery"]):
        (most,) = re.findall(r"\), (\d+)\)", query)
        assert int(most) == 2 * int(target["value"])


def test_nothing_is_scaled_in_blindly() -> None:
    """No data is an error to KEDA, and its fallback takes no replica away."""
    spec = keda()
    assert spec["triggers"][1]["metadata"]["ignoreNullValues"] == "false"
    assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
    assert spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]


@pytest.mark.parametrize(
    "behavior",
    [keda()["advanced"]["horizontalPodAutoscalerConfig"]["behavior"], hpa()["behavior"]],
    ids=["keda", "hpa"],
)
def test_patience(behavior: dict[str, Any]) -> None:
    """The same bad requests add replicas once, and it takes several good windows to remove some."""
    (policy,) = behavior["scaleUp"]["policies"]
    assert policy["periodSeconds"] >= WINDOW
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 2 * WINDOW


def test_adapter_rule() -> None:
    """A name that Kubernetes takes, no namespace put in, and no NaN let out."""
    (config,) = documents("prometheus-adapter/config.yml")
    (rule,) = config["externalRules"]
    assert re.fullmatch(r"[a-z_]+", rule["name"]["as"])
    assert rule["resources"] == {"namespaced": False}
    assert rule["metricsQuery"].rstrip().endswith(">= 0")


@pytest.mark.parametrize("metric", analyses(), ids=lambda metric: str(metric["name"]))
def test_argo_pauses_without_data(metric: dict[str, Any]) -> None:
    """Success and failure each ask for one value: without, the run is inconclusive at once. And no
    request of the window is older than the step.
    """
    assert metric["successCondition"].startswith("len(result) == 1 && ")
    assert metric["failureCondition"].startswith("len(result) == 1 && ")
    assert metric["inconclusiveLimit"] == 0
    assert parse_duration(metric["initialDelay"]) >= WINDOW + NEWS


def test_argo_judges_every_step(probes: dict[str, Probe]) -> None:
    """After each weight an analysis, with all arguments, of the probe of the canary's Service."""
    steps = rollout()["steps"]
    assert [next(iter(step)) for step in steps] == ["setWeight", "analysis"] * 2
    template = document("argo-rollouts/analysis-template.yml", "AnalysisTemplate")
    for step in steps[1::2]:
        given = {argument["name"]: argument["value"] for argument in step["analysis"]["args"]}
        assert set(given) == {argument["name"] for argument in template["spec"]["args"]}
        assert step["analysis"]["templates"] == [{"templateName": template["metadata"]["name"]}]
        assert f"//{rollout()['canaryService']}/" in probes[given["canary-probe"]].url.source


def test_flagger_judges_the_canary(probes: dict[str, Probe]) -> None:
    """Its window is over before the next check, and it asks the probe of the canary's Service."""
    template = document("flagger/metric-template.yml", "MetricTemplate")
    (metric,) = flagger()["metrics"]
    assert metric["templateRef"] == {"name": template["metadata"]["name"]}
    assert parse_duration(metric["interval"]) + NEWS <= parse_duration(flagger()["interval"])
    name = document("flagger/canary.yml", "Canary")["spec"]["targetRef"]["name"]
    assert f"//{name}-canary/" in probes[metric["templateVariables"]["probe"]].url.source


def test_enough_requests_to_judge_by(probes: dict[str, Probe]) -> None:
    """The probes of the document make more than 20 requests in each window, and the canary's wakes
    nobody.
    """
    (metric,) = flagger()["metrics"]
    assert min(WINDOW, parse_duration(metric["interval"])) / probes[CANARY].interval > 40
    assert WINDOW / probes["sentiment"].interval > 20
    assert {objective.alert for objective in probes[CANARY].objectives} == {"none"}


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*/*.yml")), ids=lambda path: str(path.name))
def test_no_data_is_not_zero(path: Path) -> None:
    """No query says 0 for want of data, and none makes it up."""
    assert "vector(" not in path.read_text()


def test_document_shows_what_is_deployed() -> None:
    """Every manifest is linked, and the routes in the document are YAML."""
    linked = set(re.findall(r"\(\.\./(deploy/[\w./-]+\.yml)\)", DOCUMENT))
    assert linked == {str(path.relative_to(ROOT)) for path in DEPLOY.glob("*/*.yml")}
    for block in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL):
        assert yaml.safe_load(block)
