"""promtool and amtool accept the bundled configs."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from probe.demo import files
from probe.resources import resource_path
from tests.commands import invoke
from tests.e2e.observer import FACTOR

pytestmark = pytest.mark.timing


def check(*command: str, search_path: str) -> str:
    """Run a program of `search_path`, which must exit with 0, and return its output."""
    binary = shutil.which(command[0], path=search_path)
    if binary is None:
        pytest.fail(f"{command[0]} is not in {search_path}")
    done = subprocess.run(
        [binary, *command[1:]], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_config(tmp_path: Path, search_path: str) -> None:
    """Promtool accepts the config of Prometheus, with the rules where its comment puts them."""
    (tmp_path / "rules").mkdir()
    shutil.copy(resource_path("rules/inference-probe.rules.yml"), tmp_path / "rules")
    config = shutil.copy(resource_path("config/prometheus.yml"), tmp_path)
    check("promtool", "check", "config", str(config), search_path=search_path)


def test_alertmanager_config(tmp_path: Path, search_path: str) -> None:
    """Amtool accepts the config of Alertmanager, also with divided durations."""
    config = resource_path("config/alertmanager.yml")
    check("amtool", "check-config", str(config), search_path=search_path)
    shortened = tmp_path / "alertmanager.yml"
    shortened.write_text(files.alertmanager(FACTOR))
    check("amtool", "check-config", str(shortened), search_path=search_path)


def merged_config() -> str:
    """Return a config of the printed routes and inhibition rules, and of two receivers."""
    printed = invoke("rules", "--format=alertmanager").stdout
    return f"{printed}\nreceivers:\n  - name: page\n  - name: ticket\n"


def test_printed_routes(tmp_path: Path, search_path: str) -> None:
    """Amtool accepts the output of `rules --format=alertmanager` with receivers."""
    config = tmp_path / "alertmanager.yml"
    config.write_text(merged_config())
    check("amtool", "check-config", str(config), search_path=search_path)


def test_printed_routes_are_those_of_the_bundled_config() -> None:
    """`rules --format=alertmanager` prints the bundled config without receivers."""
    bundled = yaml.safe_load(resource_path("config/alertmanager.yml").read_text())
    assert yaml.safe_load(merged_config()) == bundled
    printed = invoke("rules", "--format=alertmanager").stdout
    assert yaml.safe_load(printed).keys() == {"route", "inhibit_rules"}
    assert "docker-compose" not in printed


MODEL = ("cluster", "namespace", "job", "probe")
INSTANCE = ("cluster", "job", "instance")


@pytest.mark.parametrize(
    ("labels", "receiver", "group_by"),
    [
        (("alertname=ModelDown", "slo_severity=page"), "page", MODEL),
        (("alertname=InferenceProbeNoData", "slo_severity=page"), "page", INSTANCE),
        (("alertname=InferenceProbeAbsent", "slo_severity=page"), "page", INSTANCE),
        (("alertname=HighModelLatency", "slo_severity=ticket"), "ticket", MODEL),
        (("alertname=InferenceProbeLate", "slo_severity=ticket"), "ticket", INSTANCE),
        (("alertname=OtherAlert", "severity=critical"), "ticket", ()),
    ],
    ids=lambda value: value if isinstance(value, str) else (value or ("",))[0].partition("=")[2],
)
def test_routes(
    search_path: str, labels: tuple[str, ...], receiver: str, group_by: tuple[str, ...]
) -> None:
    """Pages go to `page`, all other alerts to `ticket`. Those about the prober have own groups."""
    path = resource_path("config/alertmanager.yml")
    command = ("amtool", "config", "routes", "test", f"--config.file={path}", *labels)
    assert check(*command, search_path=search_path).split() == [receiver]
    tree = yaml.safe_load(path.read_text())["route"]
    matched = next((route for route in tree["routes"] if _matches(route, labels)), tree)
    assert (matched["receiver"], tuple(matched.get("group_by", ()))) == (receiver, group_by)


def _matches(route: dict[str, Any], labels: tuple[str, ...]) -> bool:
    values = dict(label.split("=") for label in labels)
    matchers = (re.fullmatch(r'(\w+)=~?"(.*)"', text) for text in route["matchers"])
    return all(m and re.fullmatch(m[2], values.get(m[1], "")) for m in matchers)


def test_inhibitions_name_existing_alerts() -> None:
    """Each alert in an inhibition is an alert of the rules."""
    config = yaml.safe_load(resource_path("config/alertmanager.yml").read_text())
    matchers = [
        matcher
        for rule in config["inhibit_rules"]
        for matcher in rule["source_matchers"] + rule["target_matchers"]
        if matcher.startswith("alertname")
    ]
    named = {name for matcher in matchers for name in matcher.split('"')[1].split("|")}
    groups = yaml.safe_load(resource_path("rules/inference-probe.rules.yml").read_text())["groups"]
    assert named <= {rule.get("alert") for group in groups for rule in group["rules"]}


def test_rules_with_divided_durations(tmp_path: Path, search_path: str) -> None:
    """Promtool accepts the rules with divided durations."""
    rules = tmp_path / "rules.yml"
    rules.write_text(files.rules(FACTOR))
    check("promtool", "check", "rules", str(rules), search_path=search_path)
