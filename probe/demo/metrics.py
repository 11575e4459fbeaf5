"""Recent times of a probe, read from the daemon's metrics without Prometheus."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdObjective:
    """The signal of an objective, its target (0.99), and its threshold, as the `le` of a bucket."""

    signal: str
    ratio: float
    threshold: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeCounts:
    """Counts since the daemon started: successes by upper bound (cumulative), and all results.

    The bounds are those of the signal of `objective`, such as `latency`.
    """

    objective: ThresholdObjective | None = None
    successes: Mapping[str, float] = field(default_factory=dict)
    finished: float = 0.0

    @classmethod
    def parse(cls, metrics: str) -> "ProbeCounts":
        """Return the counts in `metrics`, the text of /metrics of a daemon with one probe.

        They are those of its first objective with a threshold.
        """
        samples = list(_samples(metrics))
        objective = next(_threshold_objectives(samples), None)
        histogram = f"inference_probe_{objective.signal if objective else 'latency'}_seconds"
        successes, finished = {}, 0.0
        for sample in samples:
            if sample.name == f"{histogram}_bucket" and sample.labels["outcome"] == "success":
                successes[sample.labels["le"]] = sample.value
            elif sample.name == f"{histogram}_count":
                finished += sample.value
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


def _threshold_objectives(samples: Iterable[Sample]) -> Iterator[ThresholdObjective]:
    for sample in samples:
        if sample.name == "inference_probe_slo_objective_ratio":
            signal, threshold = sample.labels["signal"], sample.labels["threshold"]
            if threshold != "+Inf":
                yield ThresholdObjective(signal=signal, ratio=sample.value, threshold=threshold)


def _samples(metrics: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(metrics):
        yield from family.samples
