"""Sums and histograms from the text of `/metrics`."""

import re
from collections import Counter
from collections.abc import Mapping
from math import inf, nan

# Cumulative counts by upper bound (seconds), as in the metrics.
Buckets = Mapping[float, float]

_LABEL = re.compile(r'(\w+)="([^"]*)"')


def sums(text: str, metric: str, *names: str) -> Counter[tuple[str, ...]]:
    """Return the values of a metric, summed by the labels `names`.

    The parser of prometheus_client takes more than a second for a text of this size.
    """
    sums_by_labels: Counter[tuple[str, ...]] = Counter()
    lines = re.findall(rf"^inference_probe_{metric}{{(.*)}} (\S+)$", text, re.MULTILINE)
    for pairs, value in lines:
        labels = dict(_LABEL.findall(pairs))
        sums_by_labels[tuple(labels[name] for name in names)] += round(float(value))
    return sums_by_labels


def buckets(text: str, histogram: str) -> Buckets:
    return {float(le): n for (le,), n in sums(text, f"{histogram}_bucket", "le").items()}


def increase(earlier: Buckets, later: Buckets) -> Buckets:
    """Return what was added to a histogram between two samples."""
    return {le: count - earlier.get(le, 0) for le, count in later.items()}


def quantile(counts: Buckets, ratio: float) -> float:
    """Return a quantile (seconds), interpolated within its bucket; NaN without observations."""
    rank = ratio * counts.get(inf, 0)
    start, below = 0.0, 0.0
    for end, count in sorted(counts.items()):
        if count >= rank and count > below:
            return start if end == inf else start + (end - start) * (rank - below) / (count - below)
        start, below = end, count
    return nan
