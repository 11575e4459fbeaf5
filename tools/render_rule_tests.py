"""Write the scenarios of tests/rules as files for `promtool test rules`.

    python -m tools.render_rule_tests DIRECTORY
    promtool test rules DIRECTORY/*.yml

The tests render them into a temporary directory. The files are long and not committed.
"""

import argparse
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import yaml

from tests.rules import (
    scenarios_absent,
    scenarios_budget,
    scenarios_cold,
    scenarios_exhausted,
    scenarios_isolated,
    scenarios_labels,
    scenarios_latency,
    scenarios_maintenance,
    scenarios_objective,
    scenarios_outage,
    scenarios_quantiles,
    scenarios_regression,
    scenarios_replica,
    scenarios_signals,
)
from tests.rules.scenario import EVALUATION_SECONDS, MINUTE, Scenario

RULE_FILE = Path(__file__).parents[1] / "rules" / "inference-probe.rules.yml"

# How far back an instant query of Prometheus looks for a sample.
LOOKBACK_SECONDS = 5 * MINUTE

# libyaml writes these files ten times as fast as Python.
Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """Scenarios in which the rules are evaluated every `evaluation_seconds`."""

    scenarios: tuple[Scenario, ...]
    evaluation_seconds: int = EVALUATION_SECONDS

    @property
    def scrape_seconds(self) -> list[int]:
        """All scrape intervals of the scenarios."""
        return sorted({n for scenario in self.scenarios for n in scenario.scrape_seconds})


FILES = {
    "model-certificate-expires.yml": ScenarioFile(scenarios_maintenance.CERTIFICATES),
    "alert-labels.yml": ScenarioFile(scenarios_labels.SCENARIOS),
    "cold-starts.yml": ScenarioFile(scenarios_cold.SCENARIOS),
    "high-model-latency.yml": ScenarioFile(scenarios_latency.SCENARIOS),
    "inference-probe-absent.yml": ScenarioFile(scenarios_absent.ABSENT),
    "inference-probe-absent-day.yml": ScenarioFile(scenarios_absent.ABSENT_DAY, 2 * MINUTE),
    "inference-probe-no-data.yml": ScenarioFile(scenarios_absent.NO_DATA),
    "inference-probe-instance-down.yml": ScenarioFile(scenarios_maintenance.INSTANCES),
    "inference-probe-budget-exhausted.yml": ScenarioFile(scenarios_exhausted.SCENARIOS),
    "inference-probe-histogram-missing.yml": ScenarioFile(scenarios_absent.HISTOGRAMS),
    "inference-probe-isolated.yml": ScenarioFile(scenarios_isolated.SCENARIOS),
    "inference-probe-late.yml": ScenarioFile(scenarios_maintenance.LATE_RUNS),
    "inference-probe-paused.yml": ScenarioFile(scenarios_maintenance.PAUSES, 2 * MINUTE),
    "inference-probe-reload-failed.yml": ScenarioFile(scenarios_maintenance.RELOADS),
    "inference-probe-restarts.yml": ScenarioFile(scenarios_maintenance.RESTART_LOOPS),
    "inference-probe-skipped-ticks.yml": ScenarioFile(scenarios_maintenance.SKIPPED_TICKS),
    "model-down.yml": ScenarioFile(scenarios_outage.SCENARIOS),
    "model-error-budget-burn.yml": ScenarioFile(scenarios_budget.PAGES),
    "model-error-budget-burn-hours.yml": ScenarioFile(scenarios_budget.HOURS, 2 * MINUTE),
    "model-error-budget-burn-days.yml": ScenarioFile(scenarios_budget.DAYS, 10 * MINUTE),
    "model-latency-regression.yml": ScenarioFile(scenarios_regression.SCENARIOS, 5 * MINUTE),
    "model-objective-missed.yml": ScenarioFile(scenarios_objective.SCENARIOS),
    "model-replica-down.yml": ScenarioFile(scenarios_replica.SCENARIOS),
    "signals.yml": ScenarioFile(scenarios_signals.SCENARIOS),
    "inference-probe-signal-missing.yml": ScenarioFile(scenarios_signals.MISSING),
    "quantiles.yml": ScenarioFile(scenarios_quantiles.SCENARIOS),
}


def group_names() -> list[str]:
    """Return the names of the rule groups, in the order of the rules file."""
    return [group["name"] for group in yaml.safe_load(RULE_FILE.read_text())["groups"]]


def render(
    file: ScenarioFile,
    scrape_seconds: list[int],
    directory: Path,
    *,
    worst_order: bool = True,
    rule_file: Path = RULE_FILE,
) -> str:
    """Return the text of `file` at these scrape intervals, to be written into `directory`.

    With `worst_order`, groups are evaluated in the reverse order of the rules file: each reads the
    previous evaluation of those that it depends on. A query sees samples of the last 5 minutes, so
    this is not possible if there are more between two evaluations.
    """
    order = group_names()
    if worst_order and file.evaluation_seconds < LOOKBACK_SECONDS:
        order.reverse()
    document = {
        "rule_files": [os.path.relpath(rule_file, directory)],
        "evaluation_interval": f"{file.evaluation_seconds}s",
        # Without this promtool evaluates the groups in a random order.
        "group_eval_order": order,
        "tests": [
            _promtool_test(scenario, seconds)
            for scenario in file.scenarios
            for seconds in scrape_seconds
            if seconds in scenario.scrape_seconds
        ],
    }
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, width=10_000)


def _promtool_test(scenario: Scenario, scrape_seconds: int) -> dict[str, Any]:
    """Return the scenario as one entry of `tests`, with a sample every `scrape_seconds`."""
    return {
        "name": f"{scenario.name} (scraped every {scrape_seconds} s)",
        "interval": f"{scrape_seconds}s",
        "input_series": [
            {"series": series, "values": values}
            for series, values in input_series(scenario, scrape_seconds)
        ],
        "promql_expr_test": [
            {
                "expr": check.expr,
                "eval_time": f"{check.at:.0f}s",
                "exp_samples": [{"labels": k, "value": v} for k, v in check.samples.items()],
            }
            for check in scenario.checks
        ],
    }


def input_series(scenario: Scenario, scrape_seconds: int) -> Iterator[tuple[str, str]]:
    """Yield each series of the targets, and its values in promtool's notation."""
    end = max(check.at for check in scenario.checks)
    times = range(0, int(end) + 1, scrape_seconds)
    for target in scenario.targets:
        scrapes = target.scrapes(times)
        for series in sorted({series for exposition in scrapes for series in exposition}):
            yield series, notation([exposition.get(series) for exposition in scrapes])


def notation(values: list[float | None]) -> str:
    """Return `values` in promtool's notation; None is no sample.

    `a+bxN` is a and N more values, each b higher; `_xN` is no sample, N times.
    """
    terms: list[str] = []
    index = 0
    while index < len(values):
        term, length = _term(values, index)
        terms.append(term)
        index += length
    return " ".join(terms)


def _term(values: list[float | None], start: int) -> tuple[str, int]:
    """Return the term for the values from `start` on, and how many it covers."""
    first = values[start]
    if first is None:
        # Prometheus writes a staleness marker at the first scrape without the series.
        if start and values[start - 1] is not None:
            return "stale", 1
        length = _leading_equal(values[i] for i in range(start, len(values)))
        return f"_x{length}", length
    length = _leading_equal(_steps(values, start))
    if length == 0:
        return f"{first:.10g}", 1
    second = values[start + 1]
    assert second is not None
    return f"{first:.10g}{round(second - first, 6):+.10g}x{length}", length + 1


def _steps(values: list[float | None], start: int) -> Iterator[float]:
    """Yield the differences between neighbours from `start` on, up to the next None."""
    for a, b in pairwise(values[i] for i in range(start, len(values))):
        if a is None or b is None:
            return
        yield round(b - a, 6)


def _leading_equal(values: Iterable[float | None]) -> int:
    """Return how many values at the beginning equal the first one."""
    _, group = next(groupby(values), (None, ()))
    return sum(1 for _ in group)


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m tools.render_rule_tests",
        description="Write the scenarios of tests/rules for `promtool test rules`.",
    )
    parser.add_argument("directory", type=Path, help="where to write the files")
    directory = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    for name, file in FILES.items():
        (directory / name).write_text(render(file, file.scrape_seconds, directory))


if __name__ == "__main__":
    main()
