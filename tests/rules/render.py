"""Writes rules/tests/*.yml from the scenarios: `python -m tests.rules.render`."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.rules import (
    scenarios_absent,
    scenarios_budget,
    scenarios_latency,
    scenarios_maintenance,
    scenarios_objective,
    scenarios_outage,
    scenarios_quantiles,
    scenarios_regression,
    scenarios_replica,
)
from tests.rules.scenario import EVALUATION, MINUTE, Scenario, promtool_group

RULES = Path(__file__).parents[2] / "rules"
HEAD = """\
# Written by `python -m tests.rules.render` from the scenarios in tests/rules; do not edit.
# Run by hand: promtool test rules rules/tests/*.yml
"""


@dataclass(frozen=True, slots=True)
class File:
    """Scenarios, and how often the rules are evaluated in them, in seconds."""

    scenarios: tuple[Scenario, ...]
    evaluation: int = EVALUATION


FILES = {
    "model-certificate-expires.yml": File(scenarios_maintenance.CERTIFICATES),
    "high-model-scenarios_latency.yml": File(scenarios_latency.SCENARIOS),
    "inference-probe-absent.yml": File(scenarios_absent.ABSENCE),
    "inference-probe-absent-day.yml": File(scenarios_absent.MISSED_FOR_A_DAY, 2 * MINUTE),
    "inference-probe-no-data.yml": File(scenarios_absent.NO_DATA),
    "inference-probe-instance-down.yml": File(scenarios_maintenance.INSTANCES),
    "inference-probe-late.yml": File(scenarios_maintenance.LATENESS),
    "inference-probe-reload-failed.yml": File(scenarios_maintenance.CONFIGS),
    "inference-probe-skipped-ticks.yml": File(scenarios_maintenance.TICKS),
    "model-down.yml": File(scenarios_outage.SCENARIOS),
    "model-error-budget-burn.yml": File(scenarios_budget.PAGED),
    "model-error-budget-burn-hours.yml": File(
        scenarios_budget.TICKETED + scenarios_budget.LEFT, 2 * MINUTE
    ),
    "model-error-budget-burn-days.yml": File(scenarios_budget.DAYS, 10 * MINUTE),
    "model-latency-scenarios_regression.yml": File(scenarios_regression.SCENARIOS, 5 * MINUTE),
    "model-objective-missed.yml": File(scenarios_objective.SCENARIOS),
    "model-replica-down.yml": File(scenarios_replica.SCENARIOS),
    "quantiles.yml": File(scenarios_quantiles.SCENARIOS),
}


def rendered(file: File) -> str:
    """A file for `promtool test rules`: each scenario at each of its scrape intervals."""
    document = {
        "rule_files": ["../inference-probe.rules.yml"],
        "evaluation_interval": f"{file.evaluation}s",
        "group_eval_order": ["inference-probe", "inference-probe-long"],  # else it is by chance
        "tests": [promtool_group(it, scrape) for it in file.scenarios for scrape in it.scrapes],
    }
    return HEAD + yaml.safe_dump(document, sort_keys=False, width=10_000)


def main() -> None:
    for name, file in FILES.items():
        (RULES / "tests" / name).write_text(rendered(file))


if __name__ == "__main__":
    main()
