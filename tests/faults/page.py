"""Parsed metrics of one scrape."""

from collections.abc import Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families

from probe.result import Reason

Buckets = Mapping[float, float]


def since(earlier: Buckets, later: Buckets) -> Buckets:
    """Return the increase of a histogram between two scrapes."""
    return {bound: count - earlier[bound] for bound, count in later.items()}


def quantile(buckets: Buckets, share: float) -> float:
    """Return the upper bound of the bucket with the quantile `share`."""
    rank = max(1, max(buckets.values()) * share)
    return min(bound for bound, count in buckets.items() if count >= rank)


class Page:
    """The metrics of one scrape."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self._samples = [sample for family in families for sample in family.samples]

    def _rows(self, metric: str, labels: dict[str, str]) -> Iterator[tuple[dict[str, str], float]]:
        for sample in self._samples:
            if (
                sample.name == f"inference_probe_{metric}"
                and labels.items() <= sample.labels.items()
            ):
                yield sample.labels, sample.value

    def total(self, metric: str, **labels: str) -> float:
        """Return the sum over the series of a metric with these labels."""
        return sum(value for _, value in self._rows(metric, labels))

    def failures(self, probe: str) -> frozenset[Reason]:
        """Return the failure reasons of a probe."""
        rows = self._rows("failures_total", {"probe": probe})
        return frozenset(Reason(labels["reason"]) for labels, count in rows if count)

    def successes(self, probe: str) -> int:
        return int(self.total("latency_seconds_count", probe=probe, outcome="success"))

    def buckets(self, probe: str) -> Buckets:
        """Return the latency buckets of a probe: number of successes by upper bound (seconds)."""
        rows = self._rows("latency_seconds_bucket", {"probe": probe, "outcome": "success"})
        return {float(labels["le"]): count for labels, count in rows}

    def unbalanced(self) -> list[str]:
        """Return the probes with a tick that is not finished, skipped or in flight."""
        probes = {labels["probe"] for labels, _ in self._rows("ticks_total", {})}
        return [probe for probe in probes if self._missing(probe)]

    def _missing(self, probe: str) -> float:
        entries = ("runs_total", "skipped_total", "in_flight")
        accounted = sum(self.total(entry, probe=probe) for entry in entries)
        return self.total("ticks_total", probe=probe) - accounted
