"""Tests of the dashboard's JSON, without Grafana."""

import itertools
import re
from typing import Any

import pytest
import yaml

from tests.queries import DASHBOARD, GRAFANA, ROOT, dashboard, panels

CONFIG = ROOT / "config/grafana"
PANELS = pytest.mark.parametrize("panel", panels(), ids=lambda panel: str(panel["title"]))


def _anchors(markdown: str) -> set[str]:
    """Return the anchors of the headings, as GitHub derives them."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[length] and other[start] < one[start] + one[length]
        for start, length in (("x", "w"), ("y", "h"))
    )


@PANELS
def test_panel_has_texts(panel: dict[str, Any]) -> None:
    """A panel has a title, a description, a unit, and queries with unique names."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    names = [target["refId"] for target in panel["targets"]]
    assert names
    assert len(set(names)) == len(names)


@PANELS
def test_panel_uses_the_selected_data_source(panel: dict[str, Any]) -> None:
    """No panel depends on the Grafana in which it was created."""
    for part in (panel, *panel["targets"]):
        assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@PANELS
def test_series_have_names(panel: dict[str, Any]) -> None:
    """Every query has a legend, except in tables, which have columns."""
    for target in panel["targets"]:
        assert target.get("legendFormat") or target["format"] == "table"


@PANELS
def test_runbooks_exist(panel: dict[str, Any]) -> None:
    """Each link leads to an existing heading of rules/README.md."""
    anchors = _anchors((ROOT / "rules/README.md").read_text())
    links = [link["url"].partition("#")[2] for link in panel["links"]]
    assert links
    assert set(links) <= anchors


def test_layout() -> None:
    """Ids are unique, and panels are within the 24 columns and do not overlap."""
    all_panels = dashboard()["panels"]
    assert len({panel["id"] for panel in all_panels}) == len(all_panels)
    positions = [panel["gridPos"] for panel in all_panels]
    assert all(position["x"] + position["w"] <= 24 for position in positions)
    assert not [pair for pair in itertools.combinations(positions, 2) if _overlap(*pair)]


def test_variables() -> None:
    """All used variables are declared or built in, and all declared variables are used."""
    declared = {variable["name"] for variable in dashboard()["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text()))
    assert {name for name in used if not name.startswith("__")} == declared
    assert {name for name in used if name.startswith("__")} <= set(GRAFANA) | {"__all"}


def test_absent_labels_hide_nothing() -> None:
    """The value `All` includes series without cluster or namespace."""
    variables = {variable["name"]: variable for variable in dashboard()["templating"]["list"]}
    for name in ("cluster", "namespace"):
        assert re.fullmatch(variables[name]["allValue"], "")


def test_compose_file_mounts_what_grafana_reads() -> None:
    """The compose file mounts data sources, provider and dashboards where Grafana reads them."""
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"][
        "volumes"
    ]
    targets = dict(volume.split(":")[:2] for volume in volumes)
    (provider,) = yaml.safe_load((CONFIG / "dashboards.yml").read_text())["providers"]
    files = ("./config/grafana/datasources.yml", "./config/grafana/dashboards.yml")
    assert {targets[file].rpartition("/")[0] for file in files} == {
        "/etc/grafana/provisioning/datasources",
        "/etc/grafana/provisioning/dashboards",
    }
    assert provider["options"]["path"] == targets["./config/grafana/dashboards"]
    assert all((ROOT / source).exists() for source in targets)
