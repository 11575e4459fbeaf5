"""The bundled rules, tested with promtool."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.promql import Catalogue
from tests.queries import ROOT
from tests.rules.scenario import Scenario
from tools.render_rule_tests import FILES, ScenarioFile, render

RULES = ROOT / "rules"
RULE_FILE = RULES / "inference-probe.rules.yml"
RUNBOOK = "https://github.com/inference-probe/inference-probe/blob/main/rules/README.md"
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULE_FILE.read_text())["groups"]
ALERTS = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]
RECORDS = [rule for group in GROUPS for rule in group["rules"] if "record" in rule]
QUANTILES = [rule for rule in RECORDS if "quantile" in rule.get("labels", {})]
CATALOGUE = Catalogue.of(RULE_FILE.read_text())
NAMES = ["-".join([rule["alert"], *rule["labels"].values()]) for rule in ALERTS]
PROMQL = re.compile(r"```promql\n(.*?)```|`([^`\n]*inference_probe[^`\n]*[(\[][^`\n]*)`", re.DOTALL)


def record_name(record: dict[str, Any]) -> str:
    return "-".join([record["record"], *record.get("labels", {}).values()])


# With its default settings, Go's garbage collector takes a fifth of the time.
GO_ENVIRONMENT = {"GOGC": "800", "GOMAXPROCS": "1"}

# The default run scrapes every 30 s; --full adds the other intervals. A scenario that has no
# variant of 30 s runs at its own interval.
DEFAULT_SCRAPE_SECONDS = 30

# Evaluations of the rules, for each file, in the default run. One takes 25 ms.
MAX_DEFAULT_EVALUATIONS = 150


def run(promtool: Path, *arguments: str | Path) -> None:
    """Run promtool, with a low priority because other tests measure time. It must succeed."""
    done = subprocess.run(
        ["nice", promtool, *arguments],
        env=os.environ | GO_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def default_scrape(name: str) -> int:
    scrapes = FILES[name].scrape_seconds
    return DEFAULT_SCRAPE_SECONDS if DEFAULT_SCRAPE_SECONDS in scrapes else scrapes[0]


def evaluations(scenario: Scenario, file: ScenarioFile) -> float:
    """Return how often the rules are evaluated in the scenario."""
    return max(check.at for check in scenario.checks) / file.evaluation_seconds


def default_scenarios(name: str) -> list[Scenario]:
    """Return the first scenarios of a file, without those that exceed the default run's share."""
    file, scrape = FILES[name], default_scrape(name)
    chosen = list[Scenario]()
    left = float(MAX_DEFAULT_EVALUATIONS)
    for scenario in file.scenarios:
        if scrape in scenario.scrape_seconds and (count := evaluations(scenario, file)) <= left:
            chosen.append(scenario)
            left -= count
    return chosen


def files(*, default: bool) -> Iterator[Any]:
    """Yield the default scenarios of each file, or the others, at its default scrape interval."""
    for name, file in FILES.items():
        scrape = default_scrape(name)
        chosen = default_scenarios(name)
        scenarios = tuple(
            scenario
            for scenario in file.scenarios
            if scrape in scenario.scrape_seconds and (scenario in chosen) is default
        )
        if scenarios:
            test_id = f"{name.removesuffix('.yml')}-{scrape}s"
            yield pytest.param(replace(file, scenarios=scenarios), scrape, id=test_id)


def other_intervals() -> Iterator[Any]:
    """Yield each file with each of its other scrape intervals for one test."""
    for name, file in FILES.items():
        for scrape in file.scrape_seconds:
            if scrape != default_scrape(name):
                yield pytest.param(name, scrape, id=f"{name.removesuffix('.yml')}-{scrape}s")


@pytest.mark.parametrize(("file", "scrape"), list(files(default=True)))
def test_scenarios(promtool: Path, file: ScenarioFile, scrape: int, tmp_path: Path) -> None:
    """The alerts fire and resolve as the scenarios expect, in the worst order of the groups."""
    (tmp_path / "test.yml").write_text(render(file, [scrape], tmp_path))
    run(promtool, "test", "rules", tmp_path / "test.yml")


@pytest.mark.full
@pytest.mark.parametrize(("file", "scrape"), list(files(default=False)))
def test_other_scenarios(promtool: Path, file: ScenarioFile, scrape: int, tmp_path: Path) -> None:
    """The same for the scenarios that the default run leaves out."""
    (tmp_path / "test.yml").write_text(render(file, [scrape], tmp_path))
    run(promtool, "test", "rules", tmp_path / "test.yml")


@pytest.mark.full
@pytest.mark.parametrize(("name", "scrape"), list(other_intervals()))
def test_scenarios_at_other_intervals(
    newest_promtool: Path, name: str, scrape: int, tmp_path: Path
) -> None:
    """The same with other scrape intervals."""
    (tmp_path / name).write_text(render(FILES[name], [scrape], tmp_path))
    run(newest_promtool, "test", "rules", tmp_path / name)


@pytest.mark.full
@pytest.mark.parametrize("name", list(FILES))
def test_scenarios_in_order(newest_promtool: Path, name: str, tmp_path: Path) -> None:
    """The same if each group reads the current evaluation of those that it depends on."""
    text = render(FILES[name], [default_scrape(name)], tmp_path, worst_order=False)
    (tmp_path / name).write_text(text)
    run(newest_promtool, "test", "rules", tmp_path / name)


def test_labels_of_a_group_or_ruler(promtool: Path, tmp_path: Path) -> None:
    """Recordings with an additional label, of the group or the ruler, work the same."""
    labelled_scenarios(promtool, "inference-probe-paused.yml", tmp_path)


@pytest.mark.full
@pytest.mark.parametrize(
    "name", ["inference-probe-isolated.yml", "model-down.yml", "inference-probe-no-data.yml"]
)
def test_labels_of_a_group_or_ruler_full(newest_promtool: Path, name: str, tmp_path: Path) -> None:
    """The same for the alerts that keep a state in recordings."""
    labelled_scenarios(newest_promtool, name, tmp_path)


def labelled_scenarios(promtool: Path, name: str, directory: Path) -> None:
    """Run scenarios with a label `ruler` on each recording and each alert."""
    rules = yaml.safe_load(RULE_FILE.read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        rule["labels"] = {**rule.get("labels", {}), "ruler": "a"}
    rule_file = directory / "rules.yml"
    rule_file.write_text(yaml.safe_dump(rules))
    text = render(FILES[name], [default_scrape(name)], directory, rule_file=rule_file)
    (directory / name).write_text(text.replace("ALERTS{", 'ALERTS{ruler="a", '))
    run(promtool, "test", "rules", directory / name)


def test_readable_example(promtool: Path) -> None:
    """The example that is committed for readers passes."""
    run(promtool, "test", "rules", RULES / "tests" / "example.yml")


def test_lint(promtool: Path) -> None:
    """The linter of promtool has no complaints about the rules."""
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", RULE_FILE)


@pytest.mark.parametrize("group", GROUPS, ids=[group["name"] for group in GROUPS])
def test_group_has_an_interval(group: dict[str, Any]) -> None:
    """Each group has its own interval, so that no global setting changes it."""
    assert re.fullmatch(r"\d+[sm]", group["interval"])


@pytest.mark.parametrize("group", GROUPS, ids=[group["name"] for group in GROUPS])
def test_group_is_small(group: dict[str, Any]) -> None:
    """A group has at most 20 rules, the default limit of Mimir and Grafana Cloud."""
    assert len(group["rules"]) <= 20


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_alert_has_for_or_keep_firing_for(rule: dict[str, Any]) -> None:
    """Each alert has `for`, except some whose expressions already look back and that are held."""
    held = ("ModelDown", "ModelObjectiveMissed", "InferenceProbeIsolated")
    assert "for" in rule or rule["alert"] in held
    assert "for" in rule or rule["keep_firing_for"]


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_alert_can_be_routed(rule: dict[str, Any]) -> None:
    """An alert is a critical page with keep_firing_for, or a warning and a ticket."""
    level = (rule["labels"]["severity"], rule["labels"]["slo_severity"])
    assert level in {("critical", "page"), ("warning", "ticket")}
    assert level != ("critical", "page") or rule.get("keep_firing_for")


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_alert_has_texts_and_a_runbook(rule: dict[str, Any]) -> None:
    """An alert has a summary in one line, a description in sentences, and an existing runbook."""
    annotations = rule["annotations"]
    assert "\n" not in annotations["summary"].strip()
    assert annotations["description"].strip().endswith(".")
    page, _, anchor = annotations["runbook_url"].partition("#")
    assert page == RUNBOOK
    assert anchor == rule["alert"].lower()
    assert anchor in anchors()


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_texts_use_existing_labels(rule: dict[str, Any]) -> None:
    """The texts of an alert use only labels that its expression keeps."""
    used = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    assert used <= CATALOGUE.labels(rule["expr"]) | set(rule["labels"])


@pytest.mark.parametrize("rule", RECORDS, ids=record_name)
def test_recording_has_the_window_of_its_name(rule: dict[str, Any]) -> None:
    """The window in the name or label of a recording is that of its ranges or inputs."""
    name = re.search(r":[a-z]+(\d+[mhd])$", rule["record"])
    if window := rule.get("labels", {}).get("window") or (name and name[1]):
        # A range of 31m only finds the latest sample of a recording of every 30m.
        ranges = set(re.findall(r"\[(\w+)[\]:]", rule["expr"])) - {"31m"}
        read = re.findall(r":(?:increase|ratio|quantile|mean|sum|count)(\d+[mhd])\b", rule["expr"])
        assert set(ranges or read) == {window}


@pytest.mark.parametrize("rule", QUANTILES, ids=record_name)
def test_quantile_label(rule: dict[str, Any]) -> None:
    """The label `quantile` is the quantile that the expression computes."""
    assert re.findall(r"histogram_quantile\(([\d.]+),", rule["expr"]) == [
        rule["labels"]["quantile"]
    ]


def test_table_of_the_runbook() -> None:
    """The table of the runbook has each alert once, with its levels."""
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
    """The queries in the runbook are valid PromQL."""
    matches = PROMQL.findall((RULES / "README.md").read_text())
    queries = [block or span for block, span in matches]
    assert queries
    rules = [{"record": f"query:{i}", "expr": query} for i, query in enumerate(queries)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    run(promtool, "check", "rules", path)


def anchors() -> set[str]:
    """Return the anchors of the runbook's headings on GitHub."""
    headings = re.findall(r"^#+ (.+)$", (RULES / "README.md").read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
