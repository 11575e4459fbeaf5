"""Histograms of the latency of one probe by version or segment."""

from collections.abc import Iterator, Mapping, Sequence

from probe.clock import DAY_SECONDS
from probe.config.choices import Dimension
from probe.metrics import catalogue
from probe.metrics.exposition import format_labels
from probe.metrics.histogram import Histogram
from probe.result import Outcome, Result

# The value of results without one, such as a refused connection.
UNKNOWN = "unknown"

# The series of a value end if it was not seen for this time, so that old versions do not add up.
FORGET_SECONDS = DAY_SECONDS


class DimensionMetrics:
    """Counts the latencies of one probe by the values of its dimensions. The caller holds a lock.

    The number of series is the sum over the dimensions, not the product.
    """

    def __init__(
        self, dimensions: Sequence[Dimension], bounds: Mapping[Outcome, Sequence[float]]
    ) -> None:
        """Start without values. `bounds` are those of the latency by outcome."""
        self._bounds = bounds
        self._histograms: dict[Dimension, dict[str, Mapping[Outcome, Histogram]]] = {
            dimension: {} for dimension in dimensions
        }
        # When each value was seen last (Unix seconds).
        self._seen: dict[tuple[Dimension, str], float] = {}

    def take_over(self, old: "DimensionMetrics") -> None:
        """Continue the counts of `old`, which has the same bounds."""
        self._seen = old._seen
        for dimension in self._histograms:
            self._histograms[dimension] = old._histograms.get(dimension, {})

    def copy(self) -> "DimensionMetrics":
        """Return a copy that later results do not change."""
        copy = DimensionMetrics((), self._bounds)
        copy._histograms = {
            dimension: {
                value: {outcome: histogram.copy() for outcome, histogram in histograms.items()}
                for value, histograms in values.items()
            }
            for dimension, values in self._histograms.items()
        }
        return copy

    def record(self, result: Result, now: float) -> None:
        """Count a result that counts against the SLO, at `now` (Unix seconds)."""
        for dimension, values in self._histograms.items():
            value = getattr(result, dimension) or UNKNOWN
            if value not in values:
                self._forget(dimension, now)
                values[value] = {
                    outcome: Histogram(bounds) for outcome, bounds in self._bounds.items()
                }
            self._seen[dimension, value] = now
            values[value][result.outcome].observe(result.latency)

    def lines(self, labels: str) -> Iterator[str]:
        """Yield the samples; `labels` are those of the probe."""
        for dimension, values in self._histograms.items():
            for value, histograms in values.items():
                pair = format_labels({"dimension": dimension, "value": value})
                for outcome, histogram in histograms.items():
                    yield histogram.samples(
                        catalogue.DIMENSION_DURATION, f'{labels},{pair},outcome="{outcome}"'
                    )

    def _forget(self, dimension: Dimension, now: float) -> None:
        """Remove the values of `dimension` that were not seen for FORGET_SECONDS."""
        values = self._histograms[dimension]
        for value in list(values):
            if now - self._seen[dimension, value] >= FORGET_SECONDS:
                del values[value], self._seen[dimension, value]
