"""Validation of YAML blocks and PromQL in the documents."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import trustme
import yaml

from probe.config.loader import load
from probe.config.schema import ProbeModel
from probe.resources import resource_path
from probe.server.web_config_loader import load_web_config

PROBE_KEYS = {field.alias or name for name, field in ProbeModel.model_fields.items()}
BLACKBOX = ("blackbox_exporter", "prometheus-blackbox-exporter")
ROUTE = {"matchers", "receiver"}


def try_out(text: str, directory: Path) -> None:
    """Recognise the kind of a YAML block, and validate it with the program that reads it."""
    document = yaml.safe_load(text)
    path = directory / "shown.yml"
    path.write_text(text)
    if isinstance(document, list) and ROUTE.issuperset(document[0]):
        _alertmanager(document, path)
    elif "probes" in document:
        load(path, environ=dict.fromkeys(re.findall(r"\$\{env:(\w+)\}", text), "value"))
    elif PROBE_KEYS.issuperset(document):
        probe = {"name": "shown", "url": "http://model/", **document}
        path.write_text(yaml.safe_dump({"probes": [probe]}))
        load(path, environ={})
    elif "apiVersion" in document:
        _manifest(document)
    elif "seriesQuery" in document.get("rules", [{}])[0]:
        _prometheus_adapter(document["rules"], directory)
    elif "tls_server_config" in document:
        _web(path)
    elif "modules" in document:
        _command(_blackbox(), f"--config.file={path}", "--config.check")
    elif {"scrape_configs", "rule_files"}.intersection(document):
        rules = resource_path("rules/inference-probe.rules.yml")
        shutil.copy(rules, directory)
        _command("promtool", "check", "config", str(path))
    else:
        pytest.fail(f"unknown kind of YAML:\n{text}")


def promql(expression: str, directory: Path) -> None:
    """Check an expression with promtool."""
    path = directory / "rules.yml"
    rules = [{"record": "shown", "expr": expression}]
    path.write_text(yaml.safe_dump({"groups": [{"name": "shown", "rules": rules}]}))
    _command("promtool", "check", "rules", str(path))


def _web(path: Path) -> None:
    certificate = trustme.CA().issue_cert("localhost")
    certificate.private_key_pem.write_to_path(path.with_name("web.key"))
    certificate.cert_chain_pems[0].write_to_path(path.with_name("web.crt"))
    load_web_config(path)


def _alertmanager(routes: list[Any], path: Path) -> None:
    receivers = [{"name": name} for name in {"default", *(route["receiver"] for route in routes)}]
    config = {"route": {"receiver": "default", "routes": routes}, "receivers": receivers}
    path.write_text(yaml.safe_dump(config))
    _command("amtool", "check-config", str(path))


def _manifest(document: dict[str, Any]) -> None:
    """Check a manifest with the schema of Kubernetes, and one of KEDA or k6 without a schema."""
    if not document["apiVersion"].partition("/")[0].endswith(("keda.sh", "k6.io")):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    assert document.keys() == {"apiVersion", "kind", "metadata", "spec"}


def _prometheus_adapter(rules: list[dict[str, Any]], directory: Path) -> None:
    """Check the queries with values in place of their variables."""
    for rule in rules:
        assert rule.keys() <= {"seriesQuery", "resources", "name", "metricsQuery"}
        promql(rule["seriesQuery"], directory)
        query = re.sub("<<.GroupBy>>", "pod", rule["metricsQuery"])
        promql(re.sub("<<.LabelMatchers>>", 'pod="a"', query), directory)


def _blackbox() -> str:
    """Return the newest blackbox_exporter, or skip the test if there is none."""
    more = os.environ.get("PROMETHEUS_BIN_DIRS", "").split(os.pathsep)
    paths = os.pathsep.join([*filter(None, more), os.environ["PATH"]])
    programs = [program for name in BLACKBOX if (program := shutil.which(name, path=paths))]
    if not programs:
        pytest.skip("blackbox_exporter is not installed")
    return programs[0]


def _command(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
