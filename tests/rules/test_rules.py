"""The bundled rules, in every promtool that is here."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.promql import Catalogue
from tests.rules.render import FILES, RULES, rendered

RULE_FILE = RULES / "inference-probe.rules.yml"
RUNBOOK = "https://github.com/inference-probe/inference-probe/blob/main/rules/README.md"
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULE_FILE.read_text())["groups"]
ALERTS = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]
RECORDS = [rule for group in GROUPS for rule in group["rules"] if "record" in rule]
QUANTILES = [rule for rule in RECORDS if "quantile" in rule.get("labels", {})]
CATALOGUE = Catalogue.of(RULE_FILE.read_text())
NAMES = ["-".join([rule["alert"], *rule["labels"].values()]) for rule in ALERTS]
PROMQL = re.compile(r"```promql\n(.*?)```|`([^`\n]*inference_probe[^`\n]*[(\[][^`\n]*)`", re.DOTALL)


def named(record: dict[str, Any]) -> str:
    return "-".join([record["record"], *record.get("labels", {}).values()])


# Most of a test's time is the engine's; a fifth of that is Go's collector, with its defaults.
THRIFT = {"GOGC": "400", "GOMAXPROCS": "1"}


def run(promtool: Path, *arguments: str | Path) -> None:
    """Runs promtool behind what measures time; what it says is the reason if it is not content."""
    done = subprocess.run(
        ["nice", promtool, *arguments],
        env=os.environ | THRIFT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("name", FILES)
def test_scenarios_hold(promtool: Path, name: str) -> None:
    """The alerts fire, do not fire and resolve as the scenarios of the file say."""
    run(promtool, "test", "rules", RULES / "tests" / name)


def test_rules_are_accepted_without_remark(promtool: Path) -> None:
    """The linter of promtool has nothing to say about the rules."""
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", RULE_FILE)


@pytest.mark.parametrize("name", FILES)
def test_files_are_what_the_scenarios_say(name: str) -> None:
    """What anyone can run by hand is what the scenarios in this directory say."""
    text = (RULES / "tests" / name).read_text()
    assert text == rendered(FILES[name]), "stale: run python -m tests.rules.render"


def test_no_file_is_left_over() -> None:
    """Every file of rules/tests comes from a scenario."""
    assert {path.name for path in (RULES / "tests").iterdir()} == set(FILES)


@pytest.mark.parametrize("group", GROUPS, ids=[group["name"] for group in GROUPS])
def test_a_group_states_its_interval(group: dict[str, Any]) -> None:
    """No global setting of the user's Prometheus changes when the rules are evaluated."""
    assert re.fullmatch(r"\d+[sm]", group["interval"])


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_an_alert_states_how_long_it_must_last(rule: dict[str, Any]) -> None:
    """`for` is written down; what has none goes by memory of its own, and outlasts a blink."""
    assert "for" in rule or rule["alert"] in ("ModelDown", "ModelObjectiveMissed")
    assert "for" in rule or rule["keep_firing_for"]


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_an_alert_can_be_routed(rule: dict[str, Any]) -> None:
    """An alert is a critical page that outlasts a blink, or a warning and a ticket."""
    level = (rule["labels"]["severity"], rule["labels"]["slo_severity"])
    assert level in {("critical", "page"), ("warning", "ticket")}
    assert level != ("critical", "page") or rule.get("keep_firing_for")


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_an_alert_explains_itself(rule: dict[str, Any]) -> None:
    """An alert has a summary of one line, a description in sentences, and a runbook that exists."""
    annotations = rule["annotations"]
    assert "\n" not in annotations["summary"].strip()
    assert annotations["description"].strip().endswith(".")
    page, _, anchor = annotations["runbook_url"].partition("#")
    assert page == RUNBOOK
    assert anchor == rule["alert"].lower()
    assert anchor in anchors()


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_an_alert_names_labels_that_it_has(rule: dict[str, Any]) -> None:
    """No place in a text stays empty because the expression has dropped the label."""
    used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert used <= CATALOGUE.labels(rule["expr"]) | set(rule["labels"])


@pytest.mark.parametrize("rule", RECORDS, ids=named)
def test_a_recording_looks_back_as_far_as_its_name_says(rule: dict[str, Any]) -> None:
    """The window in its name, or in its label, is that of the ranges in it, or of what it reads."""
    name = re.search(r":[a-z]+(\d+[mhd])$", rule["record"])
    if window := rule.get("labels", {}).get("window") or (name and name[1]):
        ranges = re.findall(r"\[(\w+)[\]:]", rule["expr"])
        read = re.findall(r":(?:increase|ratio|quantile)(\d+[mhd])\b", rule["expr"])
        assert set(ranges or read) == {window}


@pytest.mark.parametrize("rule", QUANTILES, ids=named)
def test_a_quantile_is_what_its_label_says(rule: dict[str, Any]) -> None:
    """Whoever asks for p99 gets p99."""
    assert re.findall(r"histogram_quantile\(([\d.]+),", rule["expr"]) == [
        rule["labels"]["quantile"]
    ]


def test_every_alert_is_in_the_table_with_its_levels() -> None:
    """The table of the runbook has each alert once, with the levels that its rules have."""
    row = re.compile(r"^\| \[(\w+)\]\(#(\w+)\) \| ([\w, ]+) \| ([\w, ]+) \|", re.MULTILINE)
    table = row.findall((RULES / "README.md").read_text())
    assert [anchor for _, anchor, _, _ in table] == [name.lower() for name, _, _, _ in table]
    levels = {
        (rule["alert"], level, rule["labels"][level])
        for rule in ALERTS
        for level in ("severity", "slo_severity")
    }
    assert levels == {
        (name, level, value)
        for name, _, severity, slo_severity in table
        for level, values in (("severity", severity), ("slo_severity", slo_severity))
        for value in values.split(", ")
    }


def test_queries_of_the_runbook_parse(promtool: Path, tmp_path: Path) -> None:
    """What the runbook tells people to ask can be asked."""
    found = PROMQL.findall((RULES / "README.md").read_text())
    queries = [block or span for block, span in found]
    assert queries
    rules = [{"record": f"asked:{i}", "expr": query} for i, query in enumerate(queries)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    run(promtool, "check", "rules", path)


def anchors() -> set[str]:
    """The headings of the runbook as GitHub links them."""
    headings = re.findall(r"^#+ (.+)$", (RULES / "README.md").read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", it.lower()).replace(" ", "-") for it in headings}
