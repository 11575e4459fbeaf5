"""Manifests for autoscaling and rollback: fields whose default values would be harmful.

docs/autoscaling-and-rollback.md gives the reasons. tests/e2e/test_queries.py runs the queries.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from probe.cli.compare_options import read_options
from probe.cli.main import build_parser
from probe.config.loader import load
from probe.config.settings import Probe
from probe.config.units import parse_duration
from tests.queries import DEPLOY, ROOT, document, documents

DOCUMENT = (ROOT / "docs/autoscaling-and-rollback.md").read_text()
# Window of the recordings that the manifests use.
WINDOW_SECONDS = 300.0
# Maximum time from a request until a recording includes it: a scrape and an evaluation.
RECORDING_DELAY_SECONDS = 60.0
CANARY = "sentiment-canary"


@pytest.fixture
def probes(tmp_path: Path) -> dict[str, Probe]:
    """Return the probes of the config in the document."""
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


def test_autoscalers_also_use_the_load() -> None:
    """Both autoscalers also have a load metric, because the bad percentage has no set point."""
    assert [trigger["type"] for trigger in keda()["triggers"]] == ["cpu", "prometheus"]
    assert [metric["type"] for metric in hpa()["metrics"]] == ["Resource", "External"]


def test_not_divided_by_the_replicas() -> None:
    """The percentage is not averaged over replicas, and is limited to twice the target."""
    _, trigger = keda()["triggers"]
    assert trigger["metricType"] == "Value"
    target = hpa()["metrics"][1]["external"]["target"]
    assert target == {"type": "Value", "value": trigger["metadata"]["threshold"]}
    (config,) = documents("prometheus-adapter/config.yml")
    for query in (trigger["metadata"]["query"], config["externalRules"][0]["metricsQuery"]):
        (limit,) = re.findall(r"\), (\d+)\)", query)
        assert int(limit) == 2 * int(target["value"])


def test_keda_does_not_scale_in_without_data() -> None:
    """For KEDA, no data is an error, and its fallback never removes replicas."""
    spec = keda()
    assert spec["triggers"][1]["metadata"]["ignoreNullValues"] == "false"
    assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
    assert spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]


@pytest.mark.parametrize(
    "behavior",
    [keda()["advanced"]["horizontalPodAutoscalerConfig"]["behavior"], hpa()["behavior"]],
    ids=["keda", "hpa"],
)
def test_scaling_is_slower_than_the_window(behavior: dict[str, Any]) -> None:
    """Bad requests add replicas only once, and scale-in needs several good windows."""
    (policy,) = behavior["scaleUp"]["policies"]
    assert policy["periodSeconds"] >= WINDOW_SECONDS
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 2 * WINDOW_SECONDS


def test_adapter_rule() -> None:
    """The metric has a valid Kubernetes name and no namespace, and the query drops NaN."""
    (config,) = documents("prometheus-adapter/config.yml")
    (rule,) = config["externalRules"]
    assert re.fullmatch(r"[a-z_]+", rule["name"]["as"])
    assert rule["resources"] == {"namespaced": False}
    assert rule["metricsQuery"].rstrip().endswith(">= 0")


@pytest.mark.parametrize("metric", analyses(), ids=lambda metric: str(metric["name"]))
def test_argo_pauses_without_data(metric: dict[str, Any]) -> None:
    """Without data the analysis is inconclusive, and the window has no requests before the step.

    The conditions of success and failure both require exactly one value.
    """
    assert metric["successCondition"].startswith("len(result) == 1 && ")
    assert metric["failureCondition"].startswith("len(result) == 1 && ")
    assert metric["inconclusiveLimit"] == 0
    assert parse_duration(metric["initialDelay"]) >= WINDOW_SECONDS + RECORDING_DELAY_SECONDS


def test_argo_analyses_every_step(probes: dict[str, Probe]) -> None:
    """Each weight is followed by an analysis of the probe of the canary's Service."""
    steps = rollout()["steps"]
    assert [next(iter(step)) for step in steps] == ["setWeight", "analysis"] * 2
    template = document("argo-rollouts/analysis-template.yml", "AnalysisTemplate")
    for step in steps[1::2]:
        given = {argument["name"]: argument["value"] for argument in step["analysis"]["args"]}
        assert set(given) == {argument["name"] for argument in template["spec"]["args"]}
        assert step["analysis"]["templates"] == [{"templateName": template["metadata"]["name"]}]
        assert f"//{rollout()['canaryService']}/" in probes[given["canary-probe"]].url.source


def test_argo_compares_canary_and_stable(tmp_path: Path) -> None:
    """The Job runs a valid command once, for the probes of both Services of the rollout."""
    template = document("argo-rollouts/compare-template.yml", "AnalysisTemplate")
    (metric,) = template["spec"]["metrics"]
    job = metric["provider"]["job"]["spec"]
    assert (metric["count"], metric["failureLimit"], job["backoffLimit"]) == (1, 0, 0)
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    args = build_parser({}).parse_args(container["args"])
    options = read_options(args, {})
    assert args.now
    assert args.yes
    assert options.rate
    seconds = 2 * options.requests / options.rate
    assert seconds < 0.8 * job["activeDeadlineSeconds"]

    config_map = document("argo-rollouts/compare-template.yml", "ConfigMap")
    assert pod["volumes"][0]["configMap"] == {"name": config_map["metadata"]["name"]}
    directory, _, name = args.config_file.rpartition("/")
    assert container["volumeMounts"][0]["mountPath"] == directory
    config = tmp_path / name
    config.write_text(config_map["data"][name])
    urls = {probe.name: probe.url.source for probe in load(config, environ={}).probes}
    assert f"//{rollout()['stableService']}/" in urls[args.a]
    assert f"//{rollout()['canaryService']}/" in urls[args.b]


def test_flagger_checks_the_canary(probes: dict[str, Probe]) -> None:
    """The window is shorter than the check interval, and the probe targets the canary's Service."""
    template = document("flagger/metric-template.yml", "MetricTemplate")
    (metric,) = flagger()["metrics"]
    assert metric["templateRef"] == {"name": template["metadata"]["name"]}
    window_seconds = parse_duration(metric["interval"])
    assert window_seconds + RECORDING_DELAY_SECONDS <= parse_duration(flagger()["interval"])
    name = document("flagger/canary.yml", "Canary")["spec"]["targetRef"]["name"]
    assert f"//{name}-canary/" in probes[metric["templateVariables"]["probe"]].url.source


def test_enough_requests_in_the_window(probes: dict[str, Probe]) -> None:
    """The probes send more than 20 requests per window, and the canary's probe cannot page."""
    (metric,) = flagger()["metrics"]
    assert min(WINDOW_SECONDS, parse_duration(metric["interval"])) / probes[CANARY].interval > 40
    assert WINDOW_SECONDS / probes["sentiment"].interval > 20
    assert {objective.alert for objective in probes[CANARY].objectives} == {"none"}


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*/*.yml")), ids=lambda path: str(path.name))
def test_no_data_is_not_zero(path: Path) -> None:
    """No query replaces missing data by 0."""
    assert "vector(" not in path.read_text()


def test_document_shows_what_is_deployed() -> None:
    """The document links every manifest, and its YAML blocks are valid."""
    linked = set(re.findall(r"\(\.\./(deploy/[\w./-]+\.yml)\)", DOCUMENT))
    assert linked == {str(path.relative_to(ROOT)) for path in DEPLOY.glob("*/*.yml")}
    for block in re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL):
        assert yaml.safe_load(block)
