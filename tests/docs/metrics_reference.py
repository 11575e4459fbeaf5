"""docs/metrics.md: every metric from its declaration, with the values that its labels can have."""

import re
import textwrap
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

import yaml

from probe.config.units import format_duration, parse_duration
from probe.metrics.catalogue import ALL_METRICS, MetricSpec
from probe.metrics.histogram import COARSE_BUCKETS, LATENCY_BUCKETS
from probe.resources import resource_path
from probe.result import Component, Outcome, Phase, Reason, SkipReason
from tests.docs.tables import table

HEAD = """\
# Metrics reference

<!-- Written by `python -m tests.docs` from the declarations in probe/; do not edit. -->

What `/metrics` has, in Prometheus' text format or in OpenMetrics, as the scrape asks. Times are
seconds. Counters and histograms are there from the start, at 0; timestamps are absent until there
is one. Besides these there are the usual `process_*` and `python_*` metrics. What the numbers mean
and how they are taken: [measurement.md](measurement.md).
"""

WINDOWED = re.compile(r"^(.+?)(\d+[mhd])?$")


def text() -> str:
    """The whole page."""
    return "\n".join([HEAD, _metrics(), _labels(), _reasons(), _skips(), _buckets(), _rules()])


def _metrics() -> str:
    rows = [
        (f"`{one.name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help)
        for one in ALL_METRICS
    ]
    about = f"The labels of `{_info().name}` are these and those of the config's `labels`.\n"
    return f"## Metrics\n\n{table(('name', 'type', 'labels', 'meaning'), rows)}\n{about}"


def _info() -> MetricSpec:
    (found,) = (one for one in ALL_METRICS if one.name.endswith("probe_info"))
    return found


def _labels() -> str:
    rows = [
        ("`outcome`", _words(Outcome)),
        ("`phase`", _words(Phase)),
        ("`component`", _words(Component)),
        ("`signal`", "`latency`"),
        (
            "`threshold`",
            "the `le` of the bucket that the objective means; `+Inf` without a latency",
        ),
        ("`alert`", "`page`, `ticket`, `none`"),
        ("`reason` of a failure", "[below](#reasons-of-failures)"),
        ("`reason` of a skipped tick", "[below](#reasons-of-skipped-ticks)"),
        ("`reason` of a suspension", "`startup`, `paused`"),
    ]
    return f"## Labels\n\n{table(('label', 'values'), rows)}"


def _words(words: type[StrEnum]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _reasons() -> str:
    head = ("reason", "what happened", "charged")
    rows = [
        (f"`{reason}`", reason.description, "yes" if reason.counts_against_slo else "no")
        for reason in Reason
    ]
    return f"""\
## Reasons of failures

A closed set; those by status are for a status that `expect` does not name. What is not charged to
the model is counted, and is in no histogram.

{table(head, rows)}"""


def _skips() -> str:
    rows = [(f"`{skip}`", skip.description) for skip in SkipReason]
    return f"""\
## Reasons of skipped ticks

{table(("reason", "why the tick did not become a request"), rows)}"""


def _buckets() -> str:
    return f"""\
## Buckets

Latency of successes, unless the probe has `buckets`; thresholds of its objectives are always among
them, so that good requests are counted exactly:

{_bounds(LATENCY_BUCKETS)}

All others, unless the probe has `phase_buckets`:

{_bounds(COARSE_BUCKETS)}
"""


def _bounds(buckets: Iterable[float]) -> str:
    return textwrap.fill(", ".join(map(format_duration, buckets)), 100)


def _rules() -> str:
    """Only names: what they mean stands in the runbooks."""
    loaded = yaml.safe_load(resource_path("rules/inference-probe.rules.yml").read_text())
    rules = [rule for group in loaded["groups"] for rule in group["rules"]]
    return f"""\
## What the rules add

[rules/README.md](../rules/README.md) has a runbook for each alert, and
says what the recordings are.

{table(("alert", "level"), _alerts(rules))}
{"".join(_recordings(rules))}"""


def _recordings(rules: list[dict[str, Any]]) -> Iterator[str]:
    """One line for all windows of a recording."""
    windows: dict[str, list[str]] = {}
    for name in {rule["record"] for rule in rules if "record" in rule}:
        series, window = WINDOWED.sub(r"\1 \2", name).split(" ")
        windows.setdefault(series, []).append(window)
    for series, its in sorted(windows.items()):
        several = f"{{{','.join(sorted(its, key=parse_duration))}}}" if len(its) > 1 else its[0]
        yield f"- `{series}{several}`\n"


def _alerts(rules: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    levels: dict[str, set[str]] = {}
    for rule in rules:
        if "alert" in rule:
            levels.setdefault(rule["alert"], set()).add(rule["labels"]["slo_severity"])
    for name, its in levels.items():
        yield f"[{name}](../rules/README.md#{name.lower()})", ", ".join(sorted(its))
