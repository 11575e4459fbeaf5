"""Tests of deploy/kubernetes against the published schemas and the program."""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml

from probe import __version__
from probe.cli.daemon_flags import DEFAULT_URL
from probe.cli.load_options import read_options
from probe.cli.main import build_parser
from probe.config.loader import load
from probe.daemon.daemon import MAX_DRAIN_SECONDS
from probe.load.generator import Share
from probe.load.step import MIN_CONFIRMATION_SECONDS
from tests.commands import invoke, running
from tests.queries import DEPLOY, ROOT

KUBERNETES = DEPLOY / "kubernetes"
DIRECTORIES = ("prometheus", "central", "sidecar", "load")
MANIFESTS = sorted(KUBERNETES.glob("*/*.yml"))
# The first version whose preStop hooks can sleep.
MIN_VERSION = "1.30"
VERSIONS = (MIN_VERSION, kubernetes_validate.latest_version())
OPERATOR = "monitoring.coreos.com/v1"
PORT = 10115

Document = dict[str, Any]


def read(name: str) -> Document:
    document: Document = yaml.safe_load((KUBERNETES / name).read_text())
    return document


def resources() -> dict[str, Document]:
    """Return the built-in Kubernetes resources by file name."""
    names = [str(path.relative_to(KUBERNETES)) for path in MANIFESTS]
    documents = {name: read(name) for name in names if not name.endswith("/probe.yml")}
    return {name: doc for name, doc in documents.items() if doc["apiVersion"] != OPERATOR}


def pod(directory: str) -> Document:
    """Return the pod template: metadata and spec."""
    template: Document = read(f"{directory}/deployment.yml")["spec"]["template"]
    return template


def containers(directory: str) -> list[Document]:
    spec = pod(directory)["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def prober(directory: str) -> Document:
    (container,) = (c for c in containers(directory) if c["name"] == "inference-probe")
    return container


def kustomize(directory: str) -> list[Document]:
    """Return the documents that `kubectl apply -k` would apply."""
    command = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
    if not shutil.which(command[0]):
        pytest.skip("neither kustomize nor kubectl is on the PATH")
    path = str(KUBERNETES / directory)
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", resources())
def test_schema(name: str, version: str) -> None:
    """The oldest supported and the newest Kubernetes version accept the manifest."""
    kubernetes_validate.validate(read(name), version, strict=True)


def test_schema_validates_nested_keys() -> None:
    """The validation finds a nested key with wrong capitalisation."""
    document = copy.deepcopy(read("sidecar/deployment.yml"))
    security = document["spec"]["template"]["spec"]["initContainers"][0]["securityContext"]
    security["readOnlyRootFileSystem"] = security.pop("readOnlyRootFilesystem")
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnlyRootFileSystem"):
        kubernetes_validate.validate(document, MIN_VERSION, strict=True)


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_kustomization(directory: str) -> None:
    """A kustomization lists every file of its directory, and the image of this version."""
    kustomization = read(f"{directory}/kustomization.yaml")
    generated = [
        name
        for generator in kustomization.get("configMapGenerator", [])
        for name in generator["files"]
    ]
    files = {path.name for path in MANIFESTS if path.parent.name == directory}
    assert {*kustomization["resources"], *generated} == files
    assert all(image["newTag"] == __version__ for image in kustomization.get("images", []))


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_build(directory: str) -> None:
    """The output of kustomize is valid, and each pod has its ConfigMap and its image."""
    built = kustomize(directory)
    configs = {doc["metadata"]["name"] for doc in built if doc["kind"] == "ConfigMap"}
    for doc in built:
        if doc["apiVersion"] != OPERATOR:
            kubernetes_validate.validate(doc, MIN_VERSION, strict=True)
        if doc["kind"] in ("Deployment", "Job"):
            spec = doc["spec"]["template"]["spec"]
            assert {volume["configMap"]["name"] for volume in spec["volumes"]} == configs
            for container in [*spec.get("initContainers", []), *spec["containers"]]:
                assert container["image"].endswith(f"/inference-probe:{__version__}")


def load_container() -> Document:
    """Return the container of the Job for load tests."""
    containers: list[Document] = read("load/job.yml")["spec"]["template"]["spec"]["containers"]
    (container,) = containers
    return container


def expand(args: list[str], variables: dict[str, str]) -> list[str]:
    """Return `args` with the values of their $(VARIABLES), as the kubelet does it."""
    return [re.sub(r"\$\((\w+)\)", lambda match: variables[match[1]], arg) for arg in args]


def test_shares_of_a_load_test() -> None:
    """Each pod of the Job has another share, and together they have the whole rate.

    The flags are valid for each of them, and the steps are long enough to confirm a rate.
    """
    spec = read("load/job.yml")["spec"]
    assert (spec["completionMode"], spec["parallelism"]) == ("Indexed", spec["completions"])
    container = load_container()
    (start,) = container["env"]
    options = []
    for index in range(spec["completions"]):
        variables = {"JOB_COMPLETION_INDEX": str(index), start["name"]: start["value"]}
        args = expand(container["args"], variables)
        options.append(read_options(build_parser({}).parse_args(args)))
    assert {option.share for option in options} == {
        Share(index=index, count=spec["completions"]) for index in range(spec["completions"])
    }
    for option in options:
        assert option.listen_address == ("", container["ports"][0]["containerPort"])
        assert option.step_seconds
        assert option.step_seconds >= MIN_CONFIRMATION_SECONDS


def test_config_and_metrics_of_a_load_test() -> None:
    """The config has the probe of the Job with an objective, and Prometheus scrapes the pods."""
    (probe,) = load(KUBERNETES / "load/probe.yml", environ={}).probes
    container = load_container()
    assert probe.name == container["args"][1]
    assert probe.objectives
    monitor = read("load/pod-monitor.yml")["spec"]
    labels = read("load/job.yml")["spec"]["template"]["metadata"]["labels"].items()
    assert monitor["selector"]["matchLabels"].items() <= labels
    assert monitor["podMetricsEndpoints"][0]["port"] == container["ports"][0]["name"]
    assert container["securityContext"] == prober("central")["securityContext"]


def test_start_of_a_load_test() -> None:
    """The command in the README replaces the start, which is in the past."""
    readme = (KUBERNETES / "README.md").read_text()
    (placeholder,) = re.findall(r'sed "s/(\S+?)/', readme)
    assert load_container()["env"][0]["value"] == placeholder


def test_config_change() -> None:
    """A new config is a rollout for the central prober, and does not restart a sidecar's pod."""
    names = {
        directory: doc["metadata"]["name"]
        for directory in ("central", "sidecar")
        for doc in kustomize(directory)
        if doc["kind"] == "ConfigMap"
    }
    assert re.fullmatch(r"inference-probe-[a-z0-9]{10}", names["central"])
    assert names["sidecar"] == "sentiment-probe"


def test_rules() -> None:
    """The PrometheusRule equals the output of `inference-probe rules --format=kubernetes`."""
    output = invoke("rules", "--format=kubernetes").stdout
    path = KUBERNETES / "prometheus/prometheus-rule.yml"
    assert path.read_text() == output, f"run: inference-probe rules --format=kubernetes > {path}"


@pytest.mark.parametrize("directory", ["central", "sidecar"])
def test_pod_monitor(directory: str) -> None:
    """The PodMonitor selects the pods in all namespaces, with a supported scrape interval."""
    spec = read("prometheus/pod-monitor.yml")["spec"]
    assert read("prometheus/pod-monitor.yml")["apiVersion"] == OPERATOR
    assert spec["namespaceSelector"] == {"any": True}
    (expression,) = spec["selector"]["matchExpressions"]
    assert expression == {"key": "inference-probe", "operator": "Exists"}
    assert expression["key"] in pod(directory)["metadata"]["labels"]
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["interval"] in ("15s", "30s", "60s")
    assert prober(directory)["ports"] == [{"name": endpoint["port"], "containerPort": PORT}]


@pytest.mark.parametrize("directory", ["central", "sidecar"])
def test_network_policy(directory: str) -> None:
    """The policy selects the pods, and admits only the pods of Prometheus to the prober."""
    policy = read(f"{directory}/network-policy.yml")["spec"]
    labels = pod(directory)["metadata"]["labels"].items()
    assert policy["podSelector"]["matchLabels"].items() <= labels
    (rule,) = (
        rule for rule in policy["ingress"] if {"protocol": "TCP", "port": PORT} in rule["ports"]
    )
    (peer,) = rule["from"]
    assert peer == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
    }
    assert all("port" in port for rule in policy["ingress"] for port in rule["ports"])


def test_egress_of_the_central_prober() -> None:
    """It reaches the DNS server and the pods of the models in its config, and nothing else."""
    policy = read("central/network-policy.yml")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    dns, *rules = policy["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert len(dns["to"]) == 1
    reached = set()
    for rule in rules:
        (peer,), (port,) = rule["to"], rule["ports"]
        namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        reached.add((peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"], namespace))
        (model,) = (c for c in containers("sidecar") if c["name"] == "model")
        assert port["port"] == model["ports"][0]["containerPort"]
    probes = load(KUBERNETES / "central/probe.yml", environ={}).probes
    hosts = {tuple(urlsplit(probe.url.source).netloc.split(".")[:2]) for probe in probes}
    assert reached == hosts


@pytest.mark.parametrize("directory", ["central", "sidecar"])
def test_permissions(directory: str) -> None:
    """Containers have no root, privileges, writable files or API token, and a memory limit."""
    spec = pod(directory)["spec"]
    assert spec["automountServiceAccountToken"] is False
    for container in containers(directory):
        # At the level of the container, which users copy into their own pods.
        assert container["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"] == {"memory": "128Mi"}
        assert all(mount["readOnly"] for mount in container.get("volumeMounts", []))


@pytest.mark.parametrize("directory", ["central", "sidecar"])
def test_daemon_starts(directory: str) -> None:
    """The daemon starts with the flags and config of the manifest, and serves the kubelet's paths.

    The grace period of the pod is longer than the shutdown.
    """
    container = prober(directory)
    path = KUBERNETES / directory / "probe.yml"
    (mount,) = container["volumeMounts"]
    _, *flags = [
        flag.replace(f"{mount['mountPath']}/probe.yml", str(path)) for flag in container["args"]
    ]
    assert f"--config.file={path}" in flags
    with running(*without_log_format(flags)) as daemon:
        for probe in ("livenessProbe", "readinessProbe"):
            if probe in container:
                assert daemon.get(container[probe]["httpGet"]["path"]).status_code == 200
    assert pod(directory)["spec"]["terminationGracePeriodSeconds"] > MAX_DRAIN_SECONDS


def without_log_format(flags: list[str]) -> list[str]:
    """Return the flags without --log.format, because the tests parse the default format."""
    return [flag for flag in flags if not flag.startswith("--log.format")]


def test_starts_before_the_model_and_stops_after_it() -> None:
    """The prober is a native sidecar, and does not delay the start or readiness of the model."""
    container = prober("sidecar")
    assert container in pod("sidecar")["spec"]["initContainers"]
    assert container["restartPolicy"] == "Always"
    assert not {"startupProbe", "readinessProbe"} & set(container)


def test_sidecar_config() -> None:
    """The sidecar probes the model on loopback, with a startup grace for loading it."""
    (model,) = pod("sidecar")["spec"]["containers"]
    (port,) = model["ports"]
    (probe,) = load(KUBERNETES / "sidecar/probe.yml", environ={}).probes
    assert probe.url.source.startswith(f"http://127.0.0.1:{port['containerPort']}/")
    assert probe.startup_grace >= 300
    assert read("sidecar/service.yml")["spec"]["ports"][0]["targetPort"] == port["name"]


def test_prestop_hooks() -> None:
    """The hook of the prober pauses it; the hook of the model keeps the model serving."""
    program, *arguments = prober("sidecar")["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "inference-probe"
    config = f"--config.file={KUBERNETES / 'sidecar/probe.yml'}"
    with running(config, "--web.enable-lifecycle") as daemon:
        assert daemon.total("inference_probe_suspended{[^}]*paused[^}]*}") == 0
        done = invoke(*arguments, environ={"INFERENCE_PROBE_DAEMON_URL": daemon.url})
        assert done.returncode == 0, done.stderr
        assert daemon.total("inference_probe_suspended{[^}]*paused[^}]*}") == 1
    (model,) = pod("sidecar")["spec"]["containers"]
    assert model["lifecycle"]["preStop"]["sleep"]["seconds"] >= 1


def test_reload_command_of_the_readme(tmp_path: Path) -> None:
    """The command in the README reloads the config, and prints the errors of an invalid one."""
    readme = (KUBERNETES / "README.md").read_text()
    (command,) = re.findall(r"-c inference-probe -- inference-probe (\w+)\n", readme)
    config = tmp_path / "probe.yml"
    config.write_text((KUBERNETES / "sidecar/probe.yml").read_text())
    with running(f"--config.file={config}", "--web.enable-lifecycle") as daemon:
        variable = {"INFERENCE_PROBE_DAEMON_URL": daemon.url}
        assert "reloaded" in invoke(command, environ=variable).stdout
        config.write_text("probes: []\n")
        assert "reload failed" in invoke(command, environ=variable).stderr


def test_health_check_of_the_image() -> None:
    """It runs without a shell, and the variable for the URL applies to it."""
    text = (ROOT / "Dockerfile").read_text()
    (command,) = re.findall(r"HEALTHCHECK .* CMD (\[.*\])\n", text)
    program, *arguments = json.loads(command)
    assert program == "inference-probe"
    with running(f"--config.file={KUBERNETES / 'sidecar/probe.yml'}") as daemon:
        variable = {"INFERENCE_PROBE_DAEMON_URL": daemon.url}
        assert invoke(*arguments, environ=variable).returncode == 0
    assert invoke(*arguments, environ=variable).returncode == 1


def test_default_url_of_the_commands() -> None:
    """The hook and the health check have no flags: their default is the port of the containers."""
    assert f"http://127.0.0.1:{PORT}" == DEFAULT_URL


def test_placeholder_of_the_image() -> None:
    """The README says to replace the placeholder before the first command."""
    readme = (KUBERNETES / "README.md").read_text()
    assert readme.index("YOUR-REGISTRY") < readme.index("\nkubectl apply")
    for directory in ("central", "sidecar", "load"):
        (image,) = read(f"{directory}/kustomization.yaml")["images"]
        assert image["newName"] == "YOUR-REGISTRY/inference-probe"
