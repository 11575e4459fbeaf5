"""The results of the accuracy benchmark."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean

from bench.cost import Memory, Scrapes, TickCounts
from bench.workload import Run, TimingError, Workload

DAEMON, BLACKBOX = "inference-probe", "blackbox_exporter"

# The daemon of another revision.
BEFORE = "inference-probe, before"


def quantile(values: Iterable[float], ratio: float) -> float:
    """Return the smallest value that at least `ratio` (0 to 1) of them do not exceed, or NaN."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(ratio * len(ordered)) - 1)] if ordered else math.nan


def percentiles(values: Iterable[float]) -> list[float]:
    """Return the percentiles 0 to 100, rounded to nanoseconds; none without values."""
    ordered = sorted(values)
    return [round(quantile(ordered, percent / 100), 9) for percent in range(101)] if ordered else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """All runs of a prober on a workload, in the order of the rounds."""

    prober: str
    workload: Workload
    runs: tuple[Run, ...]

    @property
    def errors(self) -> list[TimingError]:
        return [error for run in self.runs for error in run.errors]

    @property
    def wait_errors(self) -> list[float]:
        """Errors of the time to the first byte, in seconds."""
        return [error.wait for error in self.errors]

    @property
    def total_errors(self) -> list[float]:
        """Errors of the latency of the whole probe, in seconds."""
        return [error.total for error in self.errors]

    @property
    def failed(self) -> int:
        return sum(run.failed for run in self.runs)

    @property
    def cpu(self) -> float:
        """CPU seconds per probe."""
        return fmean(run.cpu for run in self.runs)


@dataclass(slots=True)
class Results:
    """All results. `memory` is that of the daemon with 100 probes, by scheme."""

    accuracies: list[Accuracy] = field(default_factory=list)
    memory: dict[str, Memory] = field(default_factory=dict)
    scrapes: Scrapes | None = None
    schedule: TickCounts | None = None

    def find(self, prober: str, workload: Workload) -> Accuracy | None:
        """Return the runs of a prober on a workload, if at least one probe succeeded."""
        for accuracy in self.accuracies:
            if (accuracy.prober, accuracy.workload) == (prober, workload) and accuracy.errors:
                return accuracy
        return None
