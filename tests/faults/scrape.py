"""A scrape of the daemon's metrics, parsed as Prometheus does."""

from collections.abc import Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families

from probe.result import Reason

# Count of observations at or below each bound (seconds).
Buckets = Mapping[float, float]


def added(earlier: Buckets, later: Buckets) -> Buckets:
    """Return the buckets of the observations between two scrapes."""
    return {bound: count - earlier[bound] for bound, count in later.items()}


def quantile(buckets: Buckets, share: float) -> float:
    """Return the upper bound of the bucket that contains the quantile."""
    rank = max(1, max(buckets.values()) * share)
    return min(bound for bound, count in buckets.items() if count >= rank)


class Scrape:
    """Samples of one scrape."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self._samples = [sample for family in families for sample in family.samples]

    def _series(
        self, metric: str, labels: dict[str, str]
    ) -> Iterator[tuple[dict[str, str], float]]:
        for sample in self._samples:
            if (
                sample.name == f"inference_probe_{metric}"
                and labels.items() <= sample.labels.items()
            ):
                yield sample.labels, sample.value

    def total(self, metric: str, **labels: str) -> float:
        """Return the sum over the series of `metric` that have these labels."""
        return sum(value for _, value in self._series(metric, labels))

    def reasons(self, probe: str) -> frozenset[Reason]:
        """Return the failure reasons that runs of `probe` have had."""
        series = self._series("failures_total", {"probe": probe})
        return frozenset(Reason(labels["reason"]) for labels, count in series if count)

    def successes(self, probe: str) -> int:
        return int(self.total("latency_seconds_count", probe=probe, outcome="success"))

    def buckets(self, probe: str) -> Buckets:
        """Return the buckets of the latencies of the probe's successes."""
        series = self._series("latency_seconds_bucket", {"probe": probe, "outcome": "success"})
        return {float(labels["le"]): count for labels, count in series}

    def probes(self) -> list[str]:
        return sorted(labels["probe"] for labels, _ in self._series("ticks_total", {}))

    def unbalanced(self) -> list[str]:
        """Return the probes with a tick that is neither finished nor skipped nor in flight."""
        return [probe for probe in self.probes() if self._missing_ticks(probe)]

    def _missing_ticks(self, probe: str) -> float:
        metrics = ("runs_total", "skipped_total", "in_flight")
        accounted = sum(self.total(metric, probe=probe) for metric in metrics)
        return self.total("ticks_total", probe=probe) - accounted
