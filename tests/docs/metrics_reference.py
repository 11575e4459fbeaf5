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

These are the metrics of `/metrics`, in Prometheus' text format or in OpenMetrics, as the scrape
requests. Times are in seconds. Counters and histograms exist from the start, with the value 0.
Timestamps are absent until the first event. In addition there are the usual `process_*` and
`python_*` metrics. [measurement.md](measurement.md) explains the measurement.
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
    about = f"`{_info().name}` also has the `labels` of the config as labels.\n"
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
            "the `le` of the bucket of the objective's threshold; `+Inf` without a threshold",
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
    head = ("reason", "meaning", "counts against objectives")
    rows = [
        (f"`{reason}`", reason.description, "yes" if reason.counts_against_slo else "no")
        for reason in Reason
    ]
    return f"""\
## Reasons of failures

This list is fixed. The reasons for status codes apply if `expect` does not allow the status.
Failures that do not count against objectives are counted in
`inference_probe_failures_total`, but are in no histogram.

{table(head, rows)}"""


def _skips() -> str:
    rows = [(f"`{skip}`", skip.description) for skip in SkipReason]
    return f"""\
## Reasons of skipped ticks

{table(("reason", "why the tick caused no request"), rows)}"""


def _buckets() -> str:
    return f"""\
## Buckets

Default buckets of the latency of successes (`buckets`). The thresholds of the objectives are always
added, so that good requests are counted exactly:

{_bounds(LATENCY_BUCKETS)}

Default buckets of all other histograms of a probe (`phase_buckets`):

{_bounds(COARSE_BUCKETS)}
"""


def _bounds(buckets: Iterable[float]) -> str:
    return textwrap.fill(", ".join(map(format_duration, buckets)), 100)


def _rules() -> str:
    """Only names: what they mean stands in the runbooks."""
    loaded = yaml.safe_load(resource_path("rules/inference-probe.rules.yml").read_text())
    rules = [rule for group in loaded["groups"] for rule in group["rules"]]
    return f"""\
## Alerts and recordings of the rules

[rules/README.md](../rules/README.md) has a runbook for each alert and explains the recordings.

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
