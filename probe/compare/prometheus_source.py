"""Requests and objectives of the daemon, as Prometheus has recorded them."""

import math
from collections import defaultdict
from collections.abc import Mapping, Set

from probe.compare.histograms import RecordedHistogram, RecordedSide
from probe.compare.scraped_histograms import count_requests
from probe.compare.selection import Selection
from probe.compare.shares import BATCHES
from probe.metrics import catalogue
from probe.metrics.target_labels import split_labels
from probe.prometheus.client import OnProgress, PrometheusClient, PrometheusError
from probe.prometheus.promql import selector
from probe.result import Signal

# Shorter parts of a period could have less than two scrapes.
MIN_PART_SECONDS = 300.0


def read_side(
    client: PrometheusClient, selection: Selection, on_progress: OnProgress
) -> RecordedSide:
    """Return the requests of `selection` in up to BATCHES parts of its period.

    They are those of all instances. Raises PrometheusError, also if there are no requests.
    """
    count = min(BATCHES, max(1, math.floor(selection.seconds / MIN_PART_SECONDS)))
    counts = count_requests(client, selection, count, on_progress)
    side = RecordedSide(
        name=selection.name,
        histograms={signal: RecordedHistogram(parts) for signal, parts in counts.items()},
        thresholds=read_thresholds(client, selection),
    )
    if not side.requests:
        raise PrometheusError(_no_requests(client, selection))
    return side


def _no_requests(client: PrometheusClient, selection: Selection) -> str:
    """Return the message that there is no data, with the values that there are."""
    label = "value" if selection.dimension else "probe"
    name = f"{selection.histograms[Signal.LATENCY]}_count"
    series = selector(name, {**selection.labels, label: None})
    found = client.instant(
        f"count by ({label}) (last_over_time({series}{_window(selection)}))", selection.end
    )
    values = ", ".join(sorted(item.labels[label] for item in found))
    message = f"{client.url} has no requests of {selection.name}"
    if values:
        return f"{message}; there are: {values}"
    if selection.dimension:
        return f"{message}; does the probe have `histogram_by: [{selection.dimension}]`?"
    return f"{message}, and no other probe; does it scrape inference-probe?"


def read_thresholds(client: PrometheusClient, selection: Selection) -> Mapping[Signal, Set[float]]:
    """Return the thresholds (seconds) of the objectives that the probe had in the period."""
    objectives = selector(catalogue.OBJECTIVE.name, {"probe": selection.probe})
    series = client.instant(f"last_over_time({objectives}{_window(selection)})", selection.end)
    thresholds: dict[Signal, set[float]] = defaultdict(set)
    for item in series:
        labels = split_labels(item.labels).metric
        seconds = float(labels["threshold"])
        if math.isfinite(seconds):
            thresholds[Signal(labels["signal"])].add(seconds)
    return thresholds


def _window(selection: Selection) -> str:
    return f"[{round(selection.seconds * 1000)}ms]"
