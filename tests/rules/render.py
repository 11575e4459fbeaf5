"""Writes rules/tests/*.yml from the scenarios: `python -m tests.rules.render`."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from . import blindness, latency, outage, quantiles
from .scenario import EVALUATION, Scenario, promtool_group

RULES = Path(__file__).parents[2] / "rules"
HEAD = """\
# Written by `python -m tests.rules.render` from the scenarios in tests/rules; do not edit.
# Run by hand: promtool test rules rules/tests/*.yml
"""
FILES: dict[str, tuple[Scenario, ...]] = {
    "high-model-latency.yml": latency.SCENARIOS,
    "model-down.yml": outage.SCENARIOS,
    "inference-probe-no-data.yml": blindness.NO_DATA,
    "inference-probe-absent.yml": blindness.ABSENCE,
    "quantiles.yml": quantiles.SCENARIOS,
}


def rendered(scenarios: Iterable[Scenario]) -> str:
    """A file for `promtool test rules`: each scenario at each supported scrape interval."""
    document = {
        "rule_files": ["../inference-probe.rules.yml"],
        "evaluation_interval": f"{EVALUATION}s",
        "tests": [promtool_group(it, scrape) for it in scenarios for scrape in it.scrapes],
    }
    return HEAD + yaml.safe_dump(document, sort_keys=False, width=10_000)


def main() -> None:
    for name, scenarios in FILES.items():
        (RULES / "tests" / name).write_text(rendered(scenarios))


if __name__ == "__main__":
    main()
