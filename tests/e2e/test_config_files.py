"""promtool and amtool accept the bundled configs."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from probe.demo import files
from probe.resources import resource_path
from tests.e2e.observer import FACTOR


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


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=ModelDown", "severity=critical", "slo_severity=page"), "page"),
        (("alertname=HighModelLatency", "severity=warning", "slo_severity=ticket"), "ticket"),
        (("alertname=OtherAlert", "severity=critical"), "ticket"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0].partition("=")[2],
)
def test_routes(search_path: str, labels: tuple[str, ...], receiver: str) -> None:
    """Pages go to `page`. All other alerts, also those of other rules, go to `ticket`."""
    config = f"--config.file={resource_path('config/alertmanager.yml')}"
    output = check("amtool", "config", "routes", "test", config, *labels, search_path=search_path)
    assert output.split() == [receiver]


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
