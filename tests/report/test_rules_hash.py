"""The hash of the rules that a real Prometheus has loaded."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from probe.cli.main import build_parser
from probe.cli.prometheus_flags import read_prometheus_server
from probe.prometheus.client import PrometheusClient
from probe.report.provenance import read_rules_hash
from probe.resources import resource_path
from tests.prometheus.processes import running_prometheus

RULES_FILE = resource_path("rules/inference-probe.rules.yml")
OTHER_RULES = {"groups": [{"name": "team", "rules": [{"record": "team:up", "expr": "up"}]}]}


@contextmanager
def loaded(directory: Path, name: str, files: Sequence[Path]) -> Iterator[PrometheusClient]:
    """Run a Prometheus that has loaded the rules in `files`."""
    data = directory / name
    data.mkdir()
    config = {"rule_files": [str(file) for file in files]}
    with running_prometheus("prometheus", data, config) as url:
        args = build_parser({}).parse_args(["report", f"--prometheus.url={url}"])
        with PrometheusClient(read_prometheus_server(args, {})) as client:
            yield client


def write_rules(file: Path, document: Any) -> Path:
    file.write_text(yaml.safe_dump(document))
    return file


def changed_rules() -> Any:
    """Return the bundled rules with another `for` of one alert."""
    document = yaml.safe_load(RULES_FILE.read_text())
    alert = next(rule for group in document["groups"] for rule in group["rules"] if "for" in rule)
    alert["for"] = "17m"
    return document


def test_bundled_rules(tmp_path: Path) -> None:
    """The hash is that of the rules of inference-probe, whatever other rules are loaded."""
    other = write_rules(tmp_path / "other.yml", OTHER_RULES)
    changed = write_rules(tmp_path / "changed.yml", changed_rules())
    with (
        loaded(tmp_path, "bundled", [RULES_FILE]) as bundled,
        loaded(tmp_path, "more", [other, RULES_FILE]) as more,
        loaded(tmp_path, "changed", [changed]) as different,
        loaded(tmp_path, "none", [other]) as none,
    ):
        expected = read_rules_hash(bundled)
        assert expected
        assert re.fullmatch("[0-9a-f]{16}", expected)
        assert read_rules_hash(more) == expected
        assert read_rules_hash(different) not in (None, expected)
        assert read_rules_hash(none) is None
