"""The config files of a demo: the packaged ones with other addresses and divided durations."""

from typing import Any

import yaml

from probe.demo.time_scale import divide_durations, prometheus_duration
from probe.resources import resource_path

# Time between two probes, before the division.
PROBE_INTERVAL_SECONDS = 10.0
JOB_NAME = "inference-probe"


def rules(factor: int) -> str:
    return divide_durations(_read("rules/inference-probe.rules.yml"), factor)


def prometheus(factor: int, *, rules: str, target: str, alertmanager: str) -> str:
    """Return the config of Prometheus; `rules` is a path, the others are HOST:PORT."""
    config = yaml.safe_load(divide_durations(_read("config/prometheus.yml"), factor))
    config["rule_files"] = [rules]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    return yaml.safe_dump(config)


def alertmanager(factor: int) -> str:
    return divide_durations(_read("config/alertmanager.yml"), factor)


def probe(factor: int, *, url: str) -> str:
    """Return the config of the daemon: one probe with a latency and an availability objective."""
    sentiment: dict[str, Any] = {
        "name": "sentiment",
        "url": url,
        "method": "POST",
        "json": {"data": "sample_input"},
        "interval": prometheus_duration(PROBE_INTERVAL_SECONDS / factor),
        "timeout": "2s",
        "expect": {"json": {"$.result": {"in": ["positive", "negative"]}}},
        "labels": {"model": "sentiment"},
        "objectives": [
            {"name": "fast", "target": "99%", "latency": "500ms"},
            {"name": "up", "target": "99.9%"},
        ],
    }
    return yaml.safe_dump({"probes": [sentiment]}, sort_keys=False)


def _read(name: str) -> str:
    return resource_path(name).read_text()
