"""Requests and objectives of the daemon, as Prometheus has recorded them."""

import math
from collections import defaultdict
from collections.abc import Mapping, Set

from probe.compare.histograms import RecordedHistogram, RecordedSide
from probe.compare.scraped_histograms import count_requests
from probe.compare.selection import Selection
from probe.compare.shares import BATCHES
from probe.config.choices import Dimension
from probe.metrics import catalogue
from probe.metrics.target_labels import split_labels
from probe.prometheus.client import OnProgress, PrometheusClient, PrometheusError
from probe.prometheus.promql import selector
from probe.result import Signal

# Shorter parts of a period could have less than two scrapes.
MIN_PART_SECONDS = 300.0


class UnknownName(Exception):
    """No probe or payload has this name, but there are others. The message has their names."""


def read_side(
    client: PrometheusClient, selection: Selection, on_progress: OnProgress
) -> RecordedSide:
    """Return the requests of `selection` in up to BATCHES parts of its period.

    They are those of all instances. Raises PrometheusError, also if there are no requests, and
    UnknownName.
    """
    count = min(BATCHES, max(1, math.floor(selection.seconds / MIN_PART_SECONDS)))
    counts = count_requests(client, selection, count, on_progress)
    side = RecordedSide(
        name=selection.name,
        histograms={signal: RecordedHistogram(parts) for signal, parts in counts.items()},
        thresholds=read_thresholds(client, selection),
    )
    if not side.requests:
        raise _no_requests(client, selection)
    return side


def _no_requests(client: PrometheusClient, selection: Selection) -> PrometheusError | UnknownName:
    """Return the error for a side without requests, with the names that there are.

    A version or segment without requests may be new, so it is no unknown name.
    """
    message = f"{client.url} has no requests of {selection.name}"
    probes = _recorded_names(client, selection, catalogue.LATENCY.name, {"probe": None})
    if not probes:
        return PrometheusError(f"{message}, and no other probe; does it scrape inference-probe?")
    if selection.probe not in probes:
        return UnknownName(f"{message}; there are: {', '.join(probes)}")
    if selection.dimension is None:
        return PrometheusError(message)
    histogram = selection.histograms[Signal.LATENCY]
    values = _recorded_names(client, selection, histogram, {**selection.labels, "value": None})
    if not values:
        advice = f"does the probe have `histogram_by: [{selection.dimension}]`?"
        return PrometheusError(f"{message}; {advice}")
    error = UnknownName if selection.dimension == Dimension.PAYLOAD else PrometheusError
    return error(f"{message}; there are: {', '.join(values)}")


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
