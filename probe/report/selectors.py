"""Selectors of the series of one probe that a report reads."""

import math
import re
from collections.abc import Iterator, Set

from probe.metrics import catalogue
from probe.prometheus.probe_group import ProbeGroup
from probe.prometheus.promql import quote
from probe.prometheus.scrapes import COLD_STARTS, DIMENSION_METRIC, SIGNAL_METRICS

_COUNTERS_AND_GAUGES = (
    catalogue.TICKS.name,
    catalogue.RUNS.name,
    catalogue.SKIPPED.name,
    COLD_STARTS,
    catalogue.INTERVAL.name,
    catalogue.OBJECTIVE.name,
)


def report_selectors(
    group: ProbeGroup, thresholds: Set[str], reasons: Set[str] | None
) -> tuple[str, ...]:
    """Return the selectors.

    `thresholds` are those of all objectives, and `reasons` those of all failures (None: any), in
    the period.
    """
    return (
        group.selector("|".join(_COUNTERS_AND_GAUGES)),
        _failures(group, reasons),
        _buckets(group, thresholds),
    )


def _failures(group: ProbeGroup, reasons: Set[str] | None) -> str:
    name = catalogue.FAILURES.name
    if reasons is None:
        return group.selector(name)
    return group.selector(name, f"reason=~{quote('|'.join(sorted(reasons)))}")


def _buckets(group: ProbeGroup, thresholds: Set[str]) -> str:
    names = "|".join(f"{name}_bucket" for name in (*SIGNAL_METRICS.values(), DIMENSION_METRIC))
    texts = (text for threshold in sorted(thresholds) for text in _bound_texts(threshold))
    return group.selector(names, f"le=~{quote('|'.join((*texts, '[+]Inf')))}")


def _bound_texts(threshold: str) -> Iterator[str]:
    """Yield the texts of a bound in a regular expression, such as `2.0` and `2`."""
    if math.isfinite(float(threshold)):
        yield re.escape(threshold)
        if threshold.endswith(".0"):
            yield threshold.removesuffix(".0")
        elif "." not in threshold and "e" not in threshold:
            yield rf"{threshold}\.0"
