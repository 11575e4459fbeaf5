"""Recent latencies of a probe, read from the daemon's metrics without Prometheus."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyObjective:
    """The target (0.99) of an objective and its threshold, as the `le` text of a bucket."""

    ratio: float
    threshold: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeCounts:
    """Counts since the daemon started: successes by upper bound (cumulative), and all results."""

    objective: LatencyObjective | None = None
    successes: Mapping[str, float] = field(default_factory=dict)
    finished: float = 0.0

    @classmethod
    def parse(cls, metrics: str) -> "ProbeCounts":
        """Return the counts in `metrics`, the text of /metrics of a daemon with one probe."""
        successes, finished, objective = {}, 0.0, None
        for sample in _samples(metrics):
            match sample.name, sample.labels:
                case "inference_probe_latency_seconds_bucket", {"outcome": "success", "le": le}:
                    successes[le] = sample.value
                case "inference_probe_latency_seconds_count", _:
                    finished += sample.value
                case "inference_probe_slo_objective_ratio", {"threshold": threshold}:
                    if threshold != "+Inf":
                        objective = LatencyObjective(ratio=sample.value, threshold=threshold)
        return cls(objective=objective, successes=successes, finished=finished)

    def since(self, earlier: "ProbeCounts") -> "ProbeCounts":
        """Return the difference to `earlier`."""
        successes = {le: n - earlier.successes.get(le, 0) for le, n in self.successes.items()}
        finished = self.finished - earlier.finished
        return ProbeCounts(objective=self.objective, successes=successes, finished=finished)

    @property
    def succeeded(self) -> float:
        return self.successes.get("+Inf", 0.0)

    @property
    def good_ratio(self) -> float:
        """Share of all results that succeeded within the threshold of the objective."""
        within = self.successes.get(self.objective.threshold, 0.0) if self.objective else 0.0
        return within / self.finished

    def quantile(self, q: float) -> float:
        """Return a quantile of successes (seconds), interpolated in its bucket as in Prometheus."""
        rank, below, count_below = q * self.succeeded, 0.0, 0.0
        for bound, count in sorted((float(le), count) for le, count in self.successes.items()):
            if count >= rank and count > count_below and bound < float("inf"):
                return below + (bound - below) * (rank - count_below) / (count - count_below)
            if bound < float("inf"):
                below, count_below = bound, count
        return below

    def __str__(self) -> str:
        columns = [
            f"p{percent} {self.quantile(percent / 100) * 1000:4.0f} ms" if self.succeeded else ""
            for percent in (50, 95, 99)
        ]
        return "  ".join(f"{column:11}" for column in columns)


def _samples(metrics: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(metrics):
        yield from family.samples
