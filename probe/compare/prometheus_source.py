"""The requests of one side of a comparison, as Prometheus has recorded them."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from probe.compare.histograms import RecordedSide
from probe.compare.scraped_histograms import count_requests
from probe.compare.selection import Selection
from probe.compare.shares import MAX_PARTS
from probe.config.choices import Dimension
from probe.metrics import catalogue
from probe.prometheus.client import OnProgress, PrometheusClient, PrometheusError
from probe.prometheus.probe_group import ProbeGroup, find_groups, selector_flags
from probe.prometheus.promql import selector
from probe.result import Signal

# Data is looked for in this time before now, if there is none in the period.
SEARCH_DAYS = 1095

# Shorter parts of a period could have less than two scrapes.
MIN_PART_SECONDS = 300.0


class UnsuitableSide(Exception):
    """No probe or payload has this name, or several probes have it. The message has the others."""


def read_side(
    client: PrometheusClient,
    selection: Selection,
    target_labels: Mapping[str, str],
    on_progress: OnProgress,
) -> RecordedSide:
    """Return the requests of `selection` in up to MAX_PARTS parts of its period.

    They are those of all replicas whose scrape target has `target_labels`. Raises PrometheusError,
    also if there are no requests, and UnsuitableSide.
    """
    group = _find_group(client, selection, target_labels)
    count = min(MAX_PARTS, max(1, math.floor(selection.seconds / MIN_PART_SECONDS)))
    side = count_requests(client, group, selection, count, on_progress)
    if not side.requests:
        raise _no_requests(client, selection)
    return side


def _find_group(
    client: PrometheusClient, selection: Selection, target_labels: Mapping[str, str]
) -> ProbeGroup:
    """Return the one group that has the probe. Raises PrometheusError and UnsuitableSide."""
    labels = {"probe": selection.probe, **selection.dimension_labels, "le": "+Inf"}
    histogram = selector(f"{selection.histograms[Signal.LATENCY]}_bucket", labels)
    groups = find_groups(client, histogram, selection.start, selection.end)
    if not groups:
        raise _no_requests(client, selection)
    selected = [group for group in groups if group.has_labels(target_labels)]
    if not selected:
        raise UnsuitableSide(
            f"--selector: {client.url} has no requests of {selection.name} with these labels; there"
            f" are: {selector_flags(groups)}"
        )
    if len(selected) > 1:
        raise UnsuitableSide(
            f"{client.url} has several probes with the name of {selection.name}; select one of"
            f" them: {selector_flags(selected)}"
        )
    return selected[0]


def _no_requests(
    client: PrometheusClient, selection: Selection
) -> PrometheusError | UnsuitableSide:
    """Return the error for a side without requests, with the names that there are.

    A version or segment without requests may be new, so it is no unknown name.
    """
    message = f"{client.url} has no requests of {selection.name}"
    probes = _recorded_names(client, selection, catalogue.LATENCY.name, {"probe": None})
    if not probes:
        return PrometheusError(f"{message}{_when_recorded(client)}")
    if selection.probe not in probes:
        return UnsuitableSide(f"{message}; there are: {', '.join(probes)}")
    if selection.dimension is None:
        return PrometheusError(message)
    histogram = selection.histograms[Signal.LATENCY]
    labels = {"probe": selection.probe, **selection.dimension_labels, "value": None}
    values = _recorded_names(client, selection, histogram, labels)
    if not values:
        advice = f"does the probe have `histogram_by: [{selection.dimension}]`?"
        return PrometheusError(f"{message}; {advice}")
    error = UnsuitableSide if selection.dimension == Dimension.PAYLOAD else PrometheusError
    return error(f"{message}; there are: {', '.join(values)}")


def _when_recorded(client: PrometheusClient) -> str:
    """Return when the server has recorded requests, if it has none of a period."""
    counts = f"{catalogue.LATENCY.name}_count"
    window = f"{SEARCH_DAYS}d:1h"
    times = [f"{name}_over_time({name}(timestamp({counts}))[{window}])" for name in ("min", "max")]
    found = [series.value for expression in times for series in client.instant(expression)]
    if not found:
        return ", and no other probe; does it scrape inference-probe?"
    first, last = (f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d}" for time in found)
    return (
        f", but it has data of inference-probe from {first} to {last} (UTC). Prometheus deletes"
        " older data: --storage.tsdb.retention.time is 15 days by default"
    )


def _recorded_names(
    client: PrometheusClient,
    selection: Selection,
    histogram: str,
    labels: Mapping[str, str | None],
) -> list[str]:
    """Return the values, in the period, of the one label whose value in `labels` is None."""
    (label,) = (label for label, value in labels.items() if value is None)
    series = f"{selector(f'{histogram}_count', labels)}{_window(selection)}"
    found = client.instant(f"count by ({label}) (last_over_time({series}))", selection.end)
    return sorted(item.labels[label] for item in found)


def _window(selection: Selection) -> str:
    return f"[{round(selection.seconds * 1000)}ms]"
