"""A page of metrics, read as Prometheus reads it."""

from collections.abc import Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families

from probe.result import Reason

Buckets = Mapping[float, float]


def since(earlier: Buckets, later: Buckets) -> Buckets:
    """What has come to a histogram in between."""
    return {bound: count - earlier[bound] for bound, count in later.items()}


def quantile(buckets: Buckets, share: float) -> float:
    """The upper bound of the bucket that it is in."""
    rank = max(1, max(buckets.values()) * share)
    return min(bound for bound, count in buckets.items() if count >= rank)


class Page:
    """What one scrape has said."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self._samples = [one for family in families for one in family.samples]

    def _rows(self, metric: str, labels: dict[str, str]) -> Iterator[tuple[dict[str, str], float]]:
        for sample in self._samples:
            if (
                sample.name == f"inference_probe_{metric}"
                and labels.items() <= sample.labels.items()
            ):
                yield sample.labels, sample.value

    def total(self, metric: str, **labels: str) -> float:
        """The sum over the series of a metric that have these labels."""
        return sum(value for _, value in self._rows(metric, labels))

    def failures(self, probe: str) -> frozenset[Reason]:
        """Why runs of a probe have failed."""
        rows = self._rows("failures_total", {"probe": probe})
        return frozenset(Reason(labels["reason"]) for labels, count in rows if count)

    def successes(self, probe: str) -> int:
        return int(self.total("latency_seconds_count", probe=probe, outcome="success"))

    def buckets(self, probe: str) -> Buckets:
        """Of a probe's reported latencies: how many are not above these seconds."""
        rows = self._rows("latency_seconds_bucket", {"probe": probe, "outcome": "success"})
        return {float(labels["le"]): count for labels, count in rows}

    def unbalanced(self) -> list[str]:
        """The probes with a tick that is neither finished nor skipped nor in flight."""
        probes = {labels["probe"] for labels, _ in self._rows("ticks_total", {})}
        return [probe for probe in probes if self._missing(probe)]

    def _missing(self, probe: str) -> float:
        entries = ("runs_total", "skipped_total", "in_flight")
        accounted = sum(self.total(entry, probe=probe) for entry in entries)
        return self.total("ticks_total", probe=probe) - accounted
