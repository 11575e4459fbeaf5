"""The dashboard's JSON, as far as it can be judged without Grafana."""

import itertools
import re
from typing import Any

import pytest
import yaml

from tests.queries import DASHBOARD, GRAFANA, ROOT, dashboard, panels

CONFIG = ROOT / "config/grafana"
PANELS = pytest.mark.parametrize("panel", panels(), ids=lambda panel: str(panel["title"]))


def _anchors(markdown: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(
        one[start] < other[start] + other[length] and other[start] < one[start] + one[length]
        for start, length in (("x", "w"), ("y", "h"))
    )


@PANELS
def test_panel_explains_itself(panel: dict[str, Any]) -> None:
    """It has a title, a sentence about it, a unit, and queries with names of their own."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    names = [target["refId"] for target in panel["targets"]]
    assert names
    assert len(set(names)) == len(names)


@PANELS
def test_panel_asks_the_chosen_data_source(panel: dict[str, Any]) -> None:
    """None is tied to the Grafana that it was made with."""
    for part in (panel, *panel["targets"]):
        assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@PANELS
def test_series_have_names(panel: dict[str, Any]) -> None:
    """No legend is the raw text of a series; a table has columns instead."""
    for target in panel["targets"]:
        assert target.get("legendFormat") or target["format"] == "table"


@PANELS
def test_runbooks_exist(panel: dict[str, Any]) -> None:
    """Each link leads to a heading of rules/README.md."""
    anchors = _anchors((ROOT / "rules/README.md").read_text())
    links = [link["url"].partition("#")[2] for link in panel["links"]]
    assert links
    assert set(links) <= anchors


def test_layout() -> None:
    """Ids are unique, and no panel lies on another or beyond the 24 columns."""
    everything = dashboard()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    places = [panel["gridPos"] for panel in everything]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert not [pair for pair in itertools.combinations(places, 2) if _overlap(*pair)]


def test_variables() -> None:
    """Those that are used are declared, or Grafana's own; those that are declared are used."""
    declared = {variable["name"] for variable in dashboard()["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text()))
    assert {name for name in used if not name.startswith("__")} == declared
    assert {name for name in used if name.startswith("__")} <= set(GRAFANA) | {"__all"}


def test_absent_labels_hide_nothing() -> None:
    """Series without cluster or namespace are among `All`."""
    variables = {variable["name"]: variable for variable in dashboard()["templating"]["list"]}
    for name in ("cluster", "namespace"):
        assert re.fullmatch(variables[name]["allValue"], "")


def test_compose_file_mounts_what_grafana_reads() -> None:
    """Data sources and providers are where Grafana's image looks, and the dashboards where the
    provider says.
    """
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"][
        "volumes"
    ]
    inside = dict(volume.split(":")[:2] for volume in volumes)
    (provider,) = yaml.safe_load((CONFIG / "dashboards.yml").read_text())["providers"]
    where = {inside["./config/grafana/datasources.yml"], inside["./config/grafana/dashboards.yml"]}
    assert {path.rpartition("/")[0] for path in where} == {
        "/etc/grafana/provisioning/datasources",
        "/etc/grafana/provisioning/dashboards",
    }
    assert provider["options"]["path"] == inside["./config/grafana/dashboards"]
    assert all((ROOT / source).exists() for source in inside)
