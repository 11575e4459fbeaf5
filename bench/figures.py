"""What a bench has found, and the quantiles of it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean

from bench.cost import Account, Memory, Scrapes
from bench.workload import Error, Run, Workload

OURS, PEER = "inference-probe", "blackbox_exporter"


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least a share (0 to 1) of them do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """All runs of a prober on a workload, in the order of the rounds."""

    prober: str
    workload: Workload
    runs: tuple[Run, ...]

    @property
    def errors(self) -> list[Error]:
        return [error for run in self.runs for error in run.errors]

    @property
    def waits(self) -> list[float]:
        """Errors of the time to the first byte, in seconds."""
        return [error.wait for error in self.errors]

    @property
    def totals(self) -> list[float]:
        """Errors of the whole probe, in seconds."""
        return [error.total for error in self.errors]

    @property
    def failed(self) -> int:
        return sum(run.failed for run in self.runs)

    @property
    def cpu(self) -> float:
        """Seconds of CPU for a probe."""
        return fmean(run.cpu for run in self.runs)


@dataclass(slots=True)
class Figures:
    """All that a bench has found."""

    accuracies: list[Accuracy] = field(default_factory=list)
    memory: dict[str, Memory] = field(default_factory=dict)
    """Of the daemon with 100 probes, by the scheme of their URLs."""
    scrapes: Scrapes | None = None
    schedule: Account | None = None

    def of(self, prober: str, workload: Workload) -> Accuracy | None:
        """What was found of a prober on a workload, if it ran and any probe succeeded."""
        for one in self.accuracies:
            if (one.prober, one.workload) == (prober, workload) and one.errors:
                return one
        return None
