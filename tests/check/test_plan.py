"""What `check` advises and predicts."""

import json
import re
from pathlib import Path

import pytest
import yaml

from probe.check import output
from probe.check.advice import lint
from probe.check.plan import plan
from probe.config.loader import load
from probe.config.schema import Settings
from probe.config.units import format_duration, parse_duration
from probe.result import Phase
from tests.commands import invoke, running
from tests.servers import respond_with, serve

RULES = Path(__file__).parents[2] / "rules" / "inference-probe.rules.yml"


def settings(tmp_path: Path, objective: str, **probe: str) -> Settings:
    keys = "".join(f"\n    {key}: {value}" for key, value in probe.items())
    path = tmp_path / "probe.yml"
    path.write_text(
        "probes:\n  - name: m\n    url: http://127.0.0.1:9/"
        + keys
        + f"\n    objectives:\n      - {{name: o, {objective}}}\n"
    )
    return load(path, environ={})


@pytest.mark.parametrize(
    ("objective", "probe", "words"),
    [
        ("target: 99%, latency: 5s", {}, "the threshold 5s is not below the timeout 5s"),
        ("target: 99.9%", {"interval": "10m"}, "its budget for 30 days is 4.3 bad probes"),
        ("target: 95%", {"interval": "1m"}, "10m hold too few probes to tell that half of them"),
        ("target: 99%", {"interval": "3h"}, "can never page: no window holds enough probes"),
        ("target: 80%", {}, "can never page by its error budget: 6 times 0.2"),
        (
            "target: 50%",
            {},
            "10m hold too few probes to tell that 75% of them are bad; probe every 5s",
        ),
        (
            "target: 80%, alert: ticket",
            {"interval": "1m"},
            "a model that just keeps it, and whose bad requests fail, has 11 false pages",
        ),
    ],
)
def test_advice(tmp_path: Path, objective: str, probe: dict[str, str], words: str) -> None:
    """What would run, and not do what it seems to, is said with its place."""
    advice = list(lint(settings(tmp_path, objective, **probe)))
    assert any(it.startswith(f"m, o: {words}") for it in advice), advice


@pytest.mark.parametrize(
    ("objective", "probe"),
    [
        ("target: 99%, latency: 500ms", {}),
        ("target: 99.9%", {"interval": "30s"}),
        ("target: 95%, alert: ticket", {"interval": "1m"}),
        ("target: 99.9%, alert: none", {"interval": "1h"}),
        ("target: 60%, alert: ticket", {"interval": "10s"}),
    ],
)
def test_no_advice(tmp_path: Path, objective: str, probe: dict[str, str]) -> None:
    """What is sound, or asks for no alerts, is left in peace."""
    assert list(lint(settings(tmp_path, objective, **probe))) == []


@pytest.mark.parametrize(
    "objective",
    ["target: 95%", "target: 80%, alert: ticket", "target: 50%, alert: ticket", "target: 10%"],
)
def test_the_advised_interval_is_enough(tmp_path: Path, objective: str) -> None:
    """Who follows the advice gets no more of it."""
    advice = lint(settings(tmp_path, objective, interval="1m"))
    interval = min(map(parse_duration, re.findall(r"probe every (\S+)", " ".join(advice))))
    followed = lint(settings(tmp_path, objective, interval=format_duration(interval)))
    assert not [it for it in followed if "probe every" in it]


@pytest.mark.parametrize("target", ["50%", "60%", "70%", "80%", "99%"])
def test_no_target_asks_for_the_impossible(tmp_path: Path, target: str) -> None:
    """What is to be told is well above the budget, so that some seconds between probes will do."""
    assert not [
        it
        for it in lint(settings(tmp_path, f"target: {target}", interval="5s"))
        if "probe every" in it
    ]


def test_series(tmp_path: Path) -> None:
    """As many as a daemon has of its own, once its probe has succeeded."""
    with serve(respond_with()) as url:
        path = tmp_path / "probe.yml"
        objectives = "[{name: o, target: 99%, latency: 123ms}]"
        path.write_text(f"probes: [{{name: m, url: '{url}', objectives: {objectives}}}]")
        with running(f"--config.file={path}") as daemon:
            daemon.wait_for("inference_probe_last_success_timestamp_seconds", 1)
            own = re.findall("(?m)^inference_probe_", daemon.get("/metrics").text)
    assert plan(load(path, environ={})).series == len(own)


def test_recordings() -> None:
    """The series that the rules record are as many as the legend says: a phase each of six."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    names = [rule["record"] for group in groups for rule in group["rules"] if "record" in rule]
    objective = sum(":slo_" in name for name in names)
    probe = sum(len(Phase) if ":phase_" in name else ":slo_" not in name for name in names)
    assert f"up to {probe} more of each probe, and {objective} of" in output.LEGEND


def test_words(tmp_path: Path) -> None:
    """Counts for each window, times for each outage and false alarms for two models."""
    words = output.render_text(plan(settings(tmp_path, "target: 99%, latency: 500ms")), "probe.yml")
    for row in (
        "o: 99% under 500ms (page)",
        "2,592 bad probes are allowed in 30 days",
        "pages at          8 of 57 in 10m, 11 of 117 in 20m, 18 of 357 in 1h, 51 of 2157 in 6h",
        "all fail          page after 3m, ticket after 10m",
        "99.8% are good    under 0.01 false pages",
    ):
        assert row in words


def test_levels(tmp_path: Path) -> None:
    """An objective that opens tickets pages for nothing of its own; one without alerts has none."""
    ticket = output.render_text(plan(settings(tmp_path, "target: 99%, alert: ticket")), "x")
    assert "pages at" not in ticket
    assert "50% are bad       ticket after" in ticket
    none = output.render_text(plan(settings(tmp_path, "target: 99%, alert: none")), "x")
    assert "false" not in none
    assert "bad probes are allowed" in none


def test_machines(tmp_path: Path) -> None:
    """`check --output=json` has the same figures, and null for never."""
    path = tmp_path / "probe.yml"
    settings(tmp_path, "target: 80%", interval="1m")
    done = invoke("check", f"--config.file={path}", "--output=json")
    (probe,) = json.loads(done.stdout)["probes"]
    (objective,) = probe["objectives"]
    assert objective["burn_pages_at"][0]["long"]["bad"] is None
    assert objective["budget_probes"] == 8640
    assert [it["bad_ratio"] for it in objective["found_after"]] == [1.0, 0.5, 0.05]
    assert objective["found_after"][2]["page_seconds"] is None
    assert probe["series"] > 100
    assert len(objective["false_alarms_in_30_days"]) == 2
