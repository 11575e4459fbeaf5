"""Metrics of the cost and the budget of one probe."""

from collections.abc import Iterator

from probe.config.settings import Probe
from probe.metrics import catalogue
from probe.metrics.catalogue import MetricSpec
from probe.metrics.exposition import format_sample
from probe.scheduler.spending import SpendingMeter

SPENDING_METRICS = (catalogue.COST, catalogue.ESTIMATED_USAGE, catalogue.BUDGET_USED)


def spending_lines(
    spec: MetricSpec, probe: Probe, labels: str, meter: SpendingMeter
) -> Iterator[str]:
    """Yield the samples of one of SPENDING_METRICS; `labels` are those of the probe.

    There are none of tokens without `price` and limits of tokens.
    """
    if spec is catalogue.COST and probe.price:
        cost = float(meter.totals().cost)
        yield format_sample(spec, f'{labels},currency="{probe.price.currency}"', cost)
    elif spec is catalogue.ESTIMATED_USAGE and probe.counts_tokens:
        yield format_sample(spec, labels, meter.totals().estimated_requests)
    elif spec is catalogue.BUDGET_USED:
        for use in meter.uses():
            yield format_sample(spec, f'{labels},budget="{use.kind}"', use.ratio)
