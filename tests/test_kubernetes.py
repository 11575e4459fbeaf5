"""The manifests in deploy/kubernetes, held against the published schemas and the program."""

import copy
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from probe import __version__
from probe.config.loader import load
from probe.daemon.daemon import MAX_DRAIN_SECONDS
from tests.commands import invoke, running
from tests.queries import DEPLOY

KUBERNETES = DEPLOY / "kubernetes"
DIRECTORIES = ("prometheus", "central", "sidecar")
MANIFESTS = sorted(KUBERNETES.glob("*/*.yml"))
OLDEST = "1.30"  # where preStop may sleep
VERSIONS = (OLDEST, kubernetes_validate.latest_version())
OPERATOR = "monitoring.coreos.com/v1"
PORT = 10115

Document = dict[str, Any]


def read(name: str) -> Document:
    document: Document = yaml.safe_load((KUBERNETES / name).read_text())
    return document


def resources() -> dict[str, Document]:
    """Those that Kubernetes itself knows, by file."""
    names = [str(path.relative_to(KUBERNETES)) for path in MANIFESTS]
    documents = {name: read(name) for name in names if not name.endswith("/probe.yml")}
    return {name: one for name, one in documents.items() if one["apiVersion"] != OPERATOR}


def pod(directory: str) -> Document:
    """The template of the pods: metadata and spec."""
    template: Document = read(f"{directory}/deployment.yml")["spec"]["template"]
    return template


def containers(directory: str) -> list[Document]:
    spec = pod(directory)["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def prober(directory: str) -> Document:
    (found,) = (one for one in containers(directory) if one["name"] == "inference-probe")
    return found


def kustomize(directory: str) -> list[Document]:
    """What `kubectl apply -k` would apply."""
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
    """The oldest version that will do and the newest take it, without an unknown key."""
    kubernetes_validate.validate(read(name), version, strict=True)


def test_schema_looks_everywhere() -> None:
    """A word in the wrong case, deep in a manifest, would be found."""
    document = copy.deepcopy(read("sidecar/deployment.yml"))
    security = document["spec"]["template"]["spec"]["initContainers"][0]["securityContext"]
    security["readOnlyRootFileSystem"] = security.pop("readOnlyRootFilesystem")
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnlyRootFileSystem"):
        kubernetes_validate.validate(document, OLDEST, strict=True)


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_kustomization(directory: str) -> None:
    """It names every file beside it, and the image of this version."""
    kustomization = read(f"{directory}/kustomization.yaml")
    generated = [
        name for one in kustomization.get("configMapGenerator", []) for name in one["files"]
    ]
    there = {path.name for path in MANIFESTS if path.parent.name == directory}
    assert {*kustomization["resources"], *generated} == there
    assert all(image["newTag"] == __version__ for image in kustomization.get("images", []))


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_build(directory: str) -> None:
    """What kustomize makes of it is valid, too, and each pod finds its config and its image."""
    built = kustomize(directory)
    configs = {one["metadata"]["name"] for one in built if one["kind"] == "ConfigMap"}
    for one in built:
        if one["apiVersion"] != OPERATOR:
            kubernetes_validate.validate(one, OLDEST, strict=True)
        if one["kind"] == "Deployment":
            spec = one["spec"]["template"]["spec"]
            assert {volume["configMap"]["name"] for volume in spec["volumes"]} == configs
            for container in [*spec.get("initContainers", []), *spec["containers"]]:
                assert container["image"].endswith(f"/inference-probe:{__version__}")


def test_another_config() -> None:
    """It is a rollout of the central prober, and leaves the model beside a sidecar running."""
    names = {
        directory: one["metadata"]["name"]
        for directory in ("central", "sidecar")
        for one in kustomize(directory)
        if one["kind"] == "ConfigMap"
    }
    assert re.fullmatch(r"inference-probe-[a-z0-9]{10}", names["central"])
    assert names["sidecar"] == "sentiment-probe"


def test_rules() -> None:
    """The PrometheusRule is what the command prints."""
    said = invoke("rules", "--format=kubernetes").stdout
    path = KUBERNETES / "prometheus/prometheus-rule.yml"
    assert path.read_text() == said, f"inference-probe rules --format=kubernetes > {path}"


@pytest.mark.parametrize("directory", ["central", "sidecar"])
def test_is_scraped(directory: str) -> None:
    """The PodMonitor finds the pods, anywhere, and their port, as often as the rules support."""
    spec = read("prometheus/pod-monitor.yml")["spec"]
    assert read("prometheus/pod-monitor.yml")["apiVersion"] == OPERATOR
    assert spec["namespaceSelector"] == {"any": True}
    (wanted,) = spec["selector"]["matchExpressions"]
    assert wanted == {"key": "inference-probe", "operator": "Exists"}
    assert wanted["key"] in pod(directory)["metadata"]["labels"]
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["interval"] in ("15s", "30s", "60s")
    assert prober(directory)["ports"] == [{"name": endpoint["port"], "containerPort": PORT}]


@pytest.mark.parametrize("directory", ["central", "sidecar"])
def test_who_gets_in(directory: str) -> None:
    """The policy is about these pods, and lets nobody but Prometheus' namespace to the prober."""
    policy = read(f"{directory}/network-policy.yml")["spec"]
    labels = pod(directory)["metadata"]["labels"].items()
    assert policy["podSelector"]["matchLabels"].items() <= labels
    (rule,) = (
        one for one in policy["ingress"] if {"protocol": "TCP", "port": PORT} in one["ports"]
    )
    (peer,) = rule["from"]
    assert set(peer) == {"namespaceSelector"}
    assert all("port" in port for one in policy["ingress"] for port in one["ports"])


@pytest.mark.parametrize("directory", ["central", "sidecar"])
def test_may_do_nothing(directory: str) -> None:
    """No root, no privilege, nothing to write to, no token, and bounded memory."""
    spec = pod(directory)["spec"]
    assert spec["automountServiceAccountToken"] is False
    for container in containers(directory):
        assert container["securityContext"] == {  # the container's, which is copied into other pods
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
def test_runs(directory: str) -> None:
    """With these flags and this config the daemon starts; the kubelet's paths are there, and the
    grace period is longer than the drain.
    """
    container = prober(directory)
    path = KUBERNETES / directory / "probe.yml"
    (mount,) = container["volumeMounts"]
    _, *flags = [
        flag.replace(f"{mount['mountPath']}/probe.yml", str(path)) for flag in container["args"]
    ]
    assert f"--config.file={path}" in flags
    with running(*plain(flags)) as daemon:
        for probe in ("livenessProbe", "readinessProbe"):
            if probe in container:
                assert daemon.get(container[probe]["httpGet"]["path"]).status_code == 200
    assert pod(directory)["spec"]["terminationGracePeriodSeconds"] > MAX_DRAIN_SECONDS


def plain(flags: list[str]) -> list[str]:
    """Without the format of the log, which the tests read as it is by default."""
    return [flag for flag in flags if not flag.startswith("--log.format")]


def test_starts_before_the_model_and_stops_after_it() -> None:
    """A sidecar in Kubernetes' sense, which holds neither the model's start nor its readiness."""
    container = prober("sidecar")
    assert container in pod("sidecar")["spec"]["initContainers"]
    assert container["restartPolicy"] == "Always"
    assert not {"startupProbe", "readinessProbe"} & set(container)


def test_probes_the_model_beside_it() -> None:
    """On loopback, where the model listens, and with patience while it loads."""
    (model,) = pod("sidecar")["spec"]["containers"]
    (port,) = model["ports"]
    (probe,) = load(KUBERNETES / "sidecar/probe.yml", environ={}).probes
    assert probe.url.source.startswith(f"http://127.0.0.1:{port['containerPort']}/")
    assert probe.startup_grace >= 300
    assert read("sidecar/service.yml")["spec"]["ports"][0]["targetPort"] == port["name"]


def test_hook_before_the_stop() -> None:
    """Run as the kubelet would, it pauses the probe; then the model still answers for a while."""
    python, *arguments = prober("sidecar")["lifecycle"]["preStop"]["exec"]["command"]
    assert python == "python3"
    config = f"--config.file={KUBERNETES / 'sidecar/probe.yml'}"
    with running(config, "--web.enable-lifecycle") as daemon:
        assert daemon.total("inference_probe_suspended{[^}]*paused[^}]*}") == 0
        subprocess.run(at(daemon.url, [sys.executable, *arguments]), check=True, timeout=20)
        assert daemon.total("inference_probe_suspended{[^}]*paused[^}]*}") == 1
    (model,) = pod("sidecar")["spec"]["containers"]
    assert model["lifecycle"]["preStop"]["sleep"]["seconds"] >= 1


def test_reload_as_the_readme_says(tmp_path: Path) -> None:
    """The command in the README reloads, and says what is wrong with a config that is."""
    (code,) = re.findall(r"python3 -c '(from http[^']+)'", (KUBERNETES / "README.md").read_text())
    config = tmp_path / "probe.yml"
    config.write_text((KUBERNETES / "sidecar/probe.yml").read_text())
    with running(f"--config.file={config}", "--web.enable-lifecycle") as daemon:
        command = at(daemon.url, [sys.executable, "-c", code])
        assert "reloaded" in subprocess.check_output(command, text=True, timeout=20)
        config.write_text("probes: []\n")
        assert "nothing has changed" in subprocess.check_output(command, text=True, timeout=20)


def at(url: str, command: list[str]) -> list[str]:
    """The command for a daemon on a port that was free."""
    assert any(f"{PORT}" in word for word in command)
    return [word.replace(str(PORT), url.rpartition(":")[2]) for word in command]
