"""Metrics of cost and budget: which series exist, and their values."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from probe.clock import Clock
from probe.config.settings import Probe
from probe.metrics.exposition import Exposition
from probe.metrics.recorder import Recorder
from probe.result import Phase, SkipReason
from probe.scheduler.accounting import TickAccounting
from probe.scheduler.spending import SpendingMeter
from probe.scheduler.token_estimate import estimate_tokens
from tests.builders import make_probe, make_result

PRICE = {"input": 2, "output": 3, "per": 1, "currency": "EUR"}
BODY = {"prompt": "x" * 4, "max_tokens": 4}  # 1 + 4 tokens: 14 EUR


class Exporter:
    """A recorder with the probe `model`, and its meter."""

    def __init__(self, directory: Path, **keys: Any) -> None:
        self.directory = directory
        probe = self.probe(**keys)
        self.accounting = TickAccounting()
        self.ticks = self.accounting.add_probe("model")
        self.meter = SpendingMeter(probe, estimate_tokens(probe), Clock())
        self.recorder = Recorder(self.accounting)
        self.recorder.add_probe(probe, {"budget": lambda: True}, self.meter)

    def probe(self, **keys: Any) -> Probe:
        return make_probe(self.directory, json=BODY, **keys)

    def update(self, **keys: Any) -> None:
        probe = self.probe(**keys)
        self.meter.update(probe, estimate_tokens(probe))
        self.recorder.update_probe(probe)

    def settle(self) -> None:
        """Count a request whose response reports no tokens."""
        self.meter.settle(self.meter.reserve(), make_result(phases={Phase.SEND: 0.0}, status=200))

    def values(self, *names: str) -> dict[str, float]:
        """Return the values of the metrics `names` by their other labels."""
        exposition = Exposition(openmetrics=False)
        self.recorder.write_to(exposition)
        values = {}
        for family in text_string_to_metric_families(exposition.text()):
            for sample in family.samples:
                if sample.name.removeprefix("inference_probe_") in names:
                    labels = [v for k, v in sample.labels.items() if k != "probe"]
                    values[" ".join(labels)] = sample.value
        return values


def test_cost_starts_at_zero_and_adds_up(tmp_path: Path) -> None:
    """Requests on demand are settled in the same way, so they are in the sum."""
    exporter = Exporter(tmp_path, price=PRICE)
    assert exporter.values("cost_total") == {"EUR": 0}
    assert exporter.values("estimated_usage_total") == {"": 0}
    exporter.settle()
    exporter.settle()
    assert exporter.values("cost_total") == {"EUR": 28}
    assert exporter.values("estimated_usage_total") == {"": 2}


def test_use_of_each_limit(tmp_path: Path) -> None:
    """It includes the requests in flight, and is at most 1 if the estimates are right."""
    budget = {"tokens_per_day": 20, "cost_per_day": 28, "requests_per_hour": 10}
    exporter = Exporter(tmp_path, price=PRICE, budget=budget)
    names = ("tokens_per_day", "cost_per_day", "requests_per_hour")
    assert exporter.values("budget_used_ratio") == dict.fromkeys(names, 0)
    exporter.settle()
    assert exporter.meter.reserve()
    used = dict(zip(names, (0.5, 1, 0.2), strict=True))
    assert exporter.values("budget_used_ratio") == used


@pytest.mark.parametrize(
    ("keys", "series"),
    [
        ({}, set()),
        ({"price": PRICE}, {"EUR", ""}),
        ({"budget": {"requests_per_hour": 9}}, {"requests_per_hour", "budget"}),
        ({"budget": {"tokens_per_day": 9}}, {"tokens_per_day", "budget", ""}),
    ],
)
def test_probes_without_price_or_budget_have_no_such_series(
    tmp_path: Path, keys: dict[str, Any], series: set[str]
) -> None:
    """Thousands of probes without a cost do not get more series."""
    exporter = Exporter(tmp_path, **keys)
    names = ("cost_total", "estimated_usage_total", "budget_used_ratio", "suspended")
    assert exporter.values(*names).keys() == series
    skipped = exporter.values("skipped_total").keys()
    assert (SkipReason.BUDGET in skipped) is ("budget" in series)


def test_skipped_ticks_stay_counted_without_the_budget(tmp_path: Path) -> None:
    """The sum of ticks needs them. The suspension ends."""
    exporter = Exporter(tmp_path, budget={"requests_per_hour": 1})
    exporter.ticks.skip(SkipReason.BUDGET)
    exporter.update()
    assert exporter.values("skipped_total")["budget"] == 1
    assert exporter.values("suspended") == {}


def test_a_changed_price_continues_the_cost(tmp_path: Path) -> None:
    """Another currency is another series, which starts at 0."""
    exporter = Exporter(tmp_path, price=PRICE)
    exporter.settle()
    exporter.update(price={**PRICE, "input": 1})
    exporter.settle()
    assert exporter.values("cost_total") == {"EUR": 27}
    exporter.update(price={**PRICE, "currency": "USD"})
    assert exporter.values("cost_total") == {"USD": 0}


def test_a_budget_that_is_added_to_a_price(tmp_path: Path) -> None:
    """Earlier requests count in all of its limits."""
    exporter = Exporter(tmp_path, price=PRICE)
    exporter.settle()
    limits = {"tokens_per_day": 20, "cost_per_day": 28, "requests_per_hour": 4}
    exporter.update(price=PRICE, budget=limits)
    used = dict(zip(limits, (0.25, 0.5, 0.25), strict=True))
    assert exporter.values("budget_used_ratio") == used
