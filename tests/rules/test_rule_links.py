"""`rules --runbook-url` and `--dashboard-url`: the links of the alerts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from probe import __version__
from tests.commands import invoke
from tests.rules.test_rules import run

DASHBOARD = "https://grafana.example/d/x?var-probe={{$labels.probe}}&it's"


def annotations(*arguments: str) -> dict[str, list[dict[str, Any]]]:
    """Return the annotations of the printed alerts, by the name of the alert."""
    done = invoke("rules", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    document = yaml.safe_load(done.stdout)
    found: dict[str, list[dict[str, Any]]] = {}
    for group in document.get("spec", document)["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                found.setdefault(rule["alert"], []).append(rule["annotations"])
    return found


@pytest.mark.parametrize("format_name", ["prometheus", "kubernetes"])
def test_default_links(format_name: str) -> None:
    """Each alert links to the runbook of the installed version, and to no dashboard."""
    page = f"https://github.com/inference-probe/inference-probe/blob/v{__version__}/rules/README.md"
    for name, alerts in annotations(f"--format={format_name}").items():
        for alert in alerts:
            assert alert["runbook_url"] == f"{page}#{name.lower()}"
            assert "dashboard_url" not in alert


@pytest.mark.parametrize("format_name", ["prometheus", "kubernetes"])
def test_other_links(format_name: str) -> None:
    """Each alert links to its heading on the given page, and to the dashboard."""
    urls = ("--runbook-url=https://wiki.example/a?b=c&d", f"--dashboard-url={DASHBOARD}")
    for name, alerts in annotations(f"--format={format_name}", *urls).items():
        for alert in alerts:
            assert alert["runbook_url"] == f"https://wiki.example/a?b=c&d#{name.lower()}"
            assert alert["dashboard_url"] == DASHBOARD


@pytest.mark.parametrize("url", ["https://g/d:", "https://g/#a", "https://g/it's"])
def test_characters_of_yaml(url: str) -> None:
    """A URL is one YAML scalar, whatever it contains."""
    for alerts in annotations(f"--dashboard-url={url}").values():
        assert {alert["dashboard_url"] for alert in alerts} == {url}


def test_promtool_accepts_the_links(promtool: Path, tmp_path: Path) -> None:
    """Prometheus parses the template in a URL."""
    path = tmp_path / "rules.yml"
    path.write_text(invoke("rules", f"--dashboard-url={DASHBOARD}").stdout)
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--runbook-url=https://wiki/x#top",),
            "--runbook-url: 'https://wiki/x#top' has a fragment; write the URL without it",
        ),
        (("--dashboard-url=grafana/d/x",), "--dashboard-url: not a URL; write https://HOST/PATH"),
        (("--runbook-url=https://",), "--runbook-url: not a URL"),
        (("--runbook-url=https://g:99999/",), "--runbook-url: not a URL"),
        (
            ("--dashboard-url=https://ann:secret@g/",),
            "--dashboard-url: alerts show this URL; write it without user and password",
        ),
        (("--runbook-url=https://ann@g/",), "--runbook-url: alerts show this URL"),
        (("--dashboard-url=https://g/{{ $labels.probe }}",), "must not contain spaces"),
        (("--dashboard-url=https://g/{{$labels.probe",), "a template is not closed"),
        (("--runbook-url=https://g/{probe}",), "write {{$labels.probe}}"),
        (
            ("--format=alertmanager", "--runbook-url=https://wiki/x"),
            "--runbook-url needs --format=prometheus or kubernetes",
        ),
        (("--format=alertmanager", "--label=a=b"), "--label needs --format=kubernetes"),
    ],
)
def test_bad_usage(arguments: tuple[str, ...], message: str) -> None:
    """Wrong URLs and combinations of flags end with exit code 2 and a message."""
    done = invoke("rules", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "secret" not in done.stderr
