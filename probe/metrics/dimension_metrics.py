"""Histograms of the latency of one probe by version, segment or payload."""

from collections.abc import Iterator, Mapping, Sequence

from probe.config.choices import Dimension
from probe.metrics import catalogue
from probe.metrics.exposition import format_labels
from probe.metrics.histogram import Histogram
from probe.result import Outcome, Result
from probe.scheduler.value_limit import VALUE_EXPIRY_SECONDS

# The value of results whose response names none, such as those without a response.
UNKNOWN = "unknown"


class DimensionMetrics:
    """Counts the latencies of one probe by the values of its dimensions. The caller holds a lock.

    Each dimension is counted separately, so the numbers of their series add up.
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
        self._seen = {key: seen for key, seen in old._seen.items() if key[0] in self._histograms}
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
                # Here as well, so that values do not pile up without scrapes.
                self.remove_expired(now)
                values[value] = {
                    outcome: Histogram(bounds) for outcome, bounds in self._bounds.items()
                }
            self._seen[dimension, value] = now
            values[value][result.outcome].observe(result.latency)

    def remove_expired(self, now: float) -> None:
        """Remove the values without a counted result for VALUE_EXPIRY_SECONDS.

        Their series end, so that those of old releases do not add up. `now` is in Unix seconds. A
        value that returns counts from 0.
        """
        for (dimension, value), seen in list(self._seen.items()):
            if now - seen >= VALUE_EXPIRY_SECONDS:
                del self._seen[dimension, value], self._histograms[dimension][value]

    def lines(self, labels: str) -> Iterator[str]:
        """Yield the samples; `labels` are those of the probe."""
        for dimension, values in self._histograms.items():
            for value, histograms in values.items():
                pair = format_labels({"dimension": dimension, "value": value})
                for outcome, histogram in histograms.items():
                    yield histogram.samples(
                        catalogue.DIMENSION_DURATION, f'{labels},{pair},outcome="{outcome}"'
                    )
