"""The configuration of a demonstration: what is shipped, with other addresses and a
faster clock.
"""

from typing import Any

import yaml

from probe.demo import duration
from probe.demo.time_scale import shorten
from probe.resources import resource_path

INTERVAL_SECONDS = 10.0  # seconds between two probes, before any shortening
JOB_NAME = "inference-probe"


def rules(factor: int) -> str:
    return shorten(_text("rules/inference-probe.rules.yml"), factor)


def prometheus(factor: int, *, rules: str, target: str, alertmanager: str) -> str:
    """`rules` is a path, `target` and `alertmanager` are host:port."""
    config = yaml.safe_load(shorten(_text("config/prometheus.yml"), factor))
    config["rule_files"] = [rules]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    return yaml.safe_dump(config)


def alertmanager(factor: int) -> str:
    return shorten(_text("config/alertmanager.yml"), factor)


def probe(factor: int, *, url: str) -> str:
    """A probe of the toy model that promises 99 % under 500 ms, and to be there."""
    sentiment: dict[str, Any] = {
        "name": "sentiment",
        "url": url,
        "method": "POST",
        "json": {"data": "sample_input"},
        "interval": duration.write(INTERVAL_SECONDS / factor),
        "timeout": "2s",
        "expect": {"json": {"$.result": {"in": ["positive", "negative"]}}},
        "labels": {"model": "sentiment"},
        "objectives": [
            {"name": "fast", "target": "99%", "latency": "500ms"},
            {"name": "up", "target": "99.9%"},
        ],
    }
    return yaml.safe_dump({"probes": [sentiment]}, sort_keys=False)


def _text(name: str) -> str:
    return resource_path(name).read_text()
