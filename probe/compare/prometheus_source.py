"""Histograms of the daemon's results, as Prometheus has recorded them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from probe.compare.histograms import Counts, RecordedSide
from probe.compare.shares import BATCHES
from probe.metrics import catalogue
from probe.prometheus.client import PrometheusClient, PrometheusError
from probe.prometheus.promql import selector

# Shorter parts of a period could have less than two scrapes, and then no increase.
MIN_PART_SECONDS = 300.0

# Called with the number of parts that have been read, and with the number of all.
OnPart = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The recorded requests of one side."""

    name: str
    """How the user calls the side."""
    probe: str
    dimension: str | None
    """The dimension that selects a part of the requests, such as `version`. None: all of them."""
    value: str | None
    start: float
    """Unix seconds."""
    end: float

    @property
    def histogram(self) -> tuple[str, Mapping[str, str | None]]:
        """The name of the histogram, and its labels."""
        if self.dimension is None:
            return catalogue.LATENCY.name, {"probe": self.probe}
        labels = {"probe": self.probe, "dimension": self.dimension, "value": self.value}
        return catalogue.DIMENSION_DURATION.name, labels


def read_side(client: PrometheusClient, selection: Selection, on_part: OnPart) -> RecordedSide:
    """Return the requests of `selection` in up to BATCHES parts of its period.

    The numbers are those of `increase`, summed over all instances. Raises PrometheusError, also if
    there are no requests.
    """
    duration = selection.end - selection.start
    count = min(BATCHES, max(1, math.floor(duration / MIN_PART_SECONDS)))
    seconds = duration / count
    parts = []
    for number in range(1, count + 1):
        parts.append(_read_part(client, selection, selection.start + number * seconds, seconds))
        on_part(number, count)
    side = RecordedSide(name=selection.name, parts=parts)
    if not side.requests:
        raise PrometheusError(_no_requests(client, selection))
    return side


def _read_part(
    client: PrometheusClient, selection: Selection, end: float, seconds: float
) -> Counts:
    name, labels = selection.histogram
    buckets = selector(f"{name}_bucket", labels)
    window = f"[{round(seconds * 1000)}ms]"
    series = client.instant(f"sum by (outcome, le) (increase({buckets}{window}))", end)
    counts = {
        (item.labels["outcome"], float(item.labels["le"])): round(item.value) for item in series
    }
    return Counts(
        buckets={
            bound: count for (outcome, bound), count in counts.items() if outcome == "success"
        },
        failures=counts.get(("failure", math.inf), 0),
    )


def _no_requests(client: PrometheusClient, selection: Selection) -> str:
    """Return the message that there is no data, with the values that there are."""
    name, labels = selection.histogram
    window = f"[{round(selection.end - selection.start)}s]"
    label = "value" if selection.dimension else "probe"
    series = selector(f"{name}_count", {**labels, label: None})
    found = client.instant(f"count by ({label}) (last_over_time({series}{window}))", selection.end)
    values = ", ".join(sorted(item.labels[label] for item in found))
    message = f"{client.url} has no requests of {selection.name}"
    if values:
        return f"{message}; there are: {values}"
    if selection.dimension:
        return f"{message}; does the probe have `histogram_by: [{selection.dimension}]`?"
    return f"{message}, and no other probe; does it scrape inference-probe?"


def read_threshold(client: PrometheusClient, selection: Selection) -> float | None:
    """Return the strictest latency (seconds) of the objectives of the probe; None without one."""
    objectives = selector(catalogue.OBJECTIVE.name, {"probe": selection.probe, "signal": "latency"})
    window = f"[{round(selection.end - selection.start)}s]"
    series = client.instant(f"last_over_time({objectives}{window})", selection.end)
    thresholds = [float(item.labels["threshold"]) for item in series]
    return min(filter(math.isfinite, thresholds), default=None)
