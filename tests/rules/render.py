"""Writes rules/tests/*.yml from the scenarios: `python -m tests.rules.render`."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from . import blindness, budget, latency, outage, promise, quantiles, regression, replica, upkeep
from .scenario import EVALUATION, MINUTE, Scenario, promtool_group

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
    "model-certificate-expires.yml": File(upkeep.CERTIFICATES),
    "high-model-latency.yml": File(latency.SCENARIOS),
    "inference-probe-absent.yml": File(blindness.ABSENCE),
    "inference-probe-absent-day.yml": File(blindness.MISSED_FOR_A_DAY, 2 * MINUTE),
    "inference-probe-no-data.yml": File(blindness.NO_DATA),
    "inference-probe-instance-down.yml": File(upkeep.INSTANCES),
    "inference-probe-late.yml": File(upkeep.LATENESS),
    "inference-probe-reload-failed.yml": File(upkeep.CONFIGS),
    "inference-probe-skipped-ticks.yml": File(upkeep.TICKS),
    "model-down.yml": File(outage.SCENARIOS),
    "model-error-budget-burn.yml": File(budget.PAGED),
    "model-error-budget-burn-hours.yml": File(budget.TICKETED + budget.LEFT, 2 * MINUTE),
    "model-error-budget-burn-days.yml": File(budget.DAYS, 10 * MINUTE),
    "model-latency-regression.yml": File(regression.SCENARIOS, 5 * MINUTE),
    "model-objective-missed.yml": File(promise.SCENARIOS),
    "model-replica-down.yml": File(replica.SCENARIOS),
    "quantiles.yml": File(quantiles.SCENARIOS),
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
