"""Write the scenarios of tests/rules as files for `promtool test rules`.

    python -m tools.render_rule_tests DIRECTORY
    promtool test rules DIRECTORY/*.yml

The tests render them into a temporary directory. The files are long and not committed.
"""

import argparse
import os
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

RULE_FILE = Path(__file__).parents[1] / "rules" / "inference-probe.rules.yml"


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """Scenarios in which the rules are evaluated every `evaluation` seconds."""

    scenarios: tuple[Scenario, ...]
    evaluation: int = EVALUATION

    @property
    def scrapes(self) -> list[int]:
        """All scrape intervals (seconds) of the scenarios."""
        return sorted({scrape for scenario in self.scenarios for scrape in scenario.scrapes})


FILES = {
    "model-certificate-expires.yml": ScenarioFile(scenarios_maintenance.CERTIFICATES),
    "high-model-latency.yml": ScenarioFile(scenarios_latency.SCENARIOS),
    "inference-probe-absent.yml": ScenarioFile(scenarios_absent.ABSENCE),
    "inference-probe-absent-day.yml": ScenarioFile(scenarios_absent.MISSED_FOR_A_DAY, 2 * MINUTE),
    "inference-probe-no-data.yml": ScenarioFile(scenarios_absent.NO_DATA),
    "inference-probe-instance-down.yml": ScenarioFile(scenarios_maintenance.INSTANCES),
    "inference-probe-late.yml": ScenarioFile(scenarios_maintenance.LATENESS),
    "inference-probe-reload-failed.yml": ScenarioFile(scenarios_maintenance.CONFIGS),
    "inference-probe-skipped-ticks.yml": ScenarioFile(scenarios_maintenance.TICKS),
    "model-down.yml": ScenarioFile(scenarios_outage.SCENARIOS),
    "model-error-budget-burn.yml": ScenarioFile(scenarios_budget.PAGED),
    "model-error-budget-burn-hours.yml": ScenarioFile(
        scenarios_budget.TICKETED + scenarios_budget.LEFT, 2 * MINUTE
    ),
    "model-error-budget-burn-days.yml": ScenarioFile(scenarios_budget.DAYS, 10 * MINUTE),
    "model-latency-regression.yml": ScenarioFile(scenarios_regression.SCENARIOS, 5 * MINUTE),
    "model-objective-missed.yml": ScenarioFile(scenarios_objective.SCENARIOS),
    "model-replica-down.yml": ScenarioFile(scenarios_replica.SCENARIOS),
    "quantiles.yml": ScenarioFile(scenarios_quantiles.SCENARIOS),
}


def render(file: ScenarioFile, scrapes: list[int], directory: Path) -> str:
    """Return the text of `file` at these scrape intervals, to be written into `directory`."""
    document = {
        "rule_files": [os.path.relpath(RULE_FILE, directory)],
        "evaluation_interval": f"{file.evaluation}s",
        # Without this promtool evaluates the groups in a random order.
        "group_eval_order": ["inference-probe", "inference-probe-long"],
        "tests": [
            promtool_group(scenario, scrape)
            for scenario in file.scenarios
            for scrape in scrapes
            if scrape in scenario.scrapes
        ],
    }
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10_000)


# libyaml writes these files ten times as fast as Python.
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m tools.render_rule_tests",
        description="Write the scenarios of tests/rules for `promtool test rules`.",
    )
    parser.add_argument("directory", type=Path, help="where to write the files")
    directory = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    for name, file in FILES.items():
        (directory / name).write_text(render(file, file.scrapes, directory))


if __name__ == "__main__":
    main()
