"""Errors of the daemon compared with those of another revision, in pairs of runs."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.accuracy_results import BEFORE, DAEMON, Accuracy, Results, quantile
from bench.markdown import aligned_table, format_number
from bench.rounds import median_interval
from bench.workload import Run, TimingError, Workload

# Errors are worse than before if the whole interval of their ratio is above this one.
MAX_RATIO = 1.1

# Smaller errors count as this one: the kernel's path between both ends takes longer.
MIN_ERROR_SECONDS = 1e-6

_Error = Callable[[TimingError], float]
_ERRORS: tuple[tuple[str, _Error], ...] = (
    ("`wait` error", lambda error: error.wait),
    ("total error", lambda error: error.total),
)
_QUANTILES = (("p50", 0.50), ("p99", 0.99))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """A measure of both revisions in milliseconds: a pair in each round."""

    workload: Workload
    measure: str
    now: Sequence[float]
    before: Sequence[float]
    is_bound: bool = True

    @property
    def ratios(self) -> list[float]:
        return [now / before for now, before in zip(self.now, self.before, strict=True)]

    @property
    def is_met(self) -> bool:
        return not self.is_bound or median_interval(self.ratios)[0] <= MAX_RATIO


def compare(results: Results) -> list[Pairs]:
    """Return the pairs of each workload: quantiles of the errors, and the CPU per probe.

    Rounds in which a revision has no successful probe are left out.
    """
    pairs: list[Pairs] = []
    for accuracy in results.accuracies:
        before = results.find(BEFORE, accuracy.workload)
        if accuracy.prober == DAEMON and accuracy.errors and before:
            pairs += _pairs(accuracy, before)
    return pairs


def _pairs(now: Accuracy, before: Accuracy) -> Iterator[Pairs]:
    rounds = [
        runs for runs in zip(now.runs, before.runs, strict=True) if all(run.errors for run in runs)
    ]
    if not rounds:
        return
    for name, error in _ERRORS:
        for quantile_name, ratio in _QUANTILES:
            values = [[_quantile_ms(run, error, ratio) for run in runs] for runs in rounds]
            yield Pairs(
                workload=now.workload,
                measure=f"{name}, {quantile_name}",
                now=[pair[0] for pair in values],
                before=[pair[1] for pair in values],
            )
    yield Pairs(
        workload=now.workload,
        measure="CPU per probe",
        now=[run.cpu * 1e3 for run, _ in rounds],
        before=[run.cpu * 1e3 for _, run in rounds],
        is_bound=False,
    )


def _quantile_ms(run: Run, error: _Error, ratio: float) -> float:
    return max(MIN_ERROR_SECONDS, quantile(map(error, run.errors), ratio)) * 1e3


def render(pairs: Sequence[Pairs], conditions: str) -> str:
    """Return the conditions, and a table with the medians over the rounds."""
    head = ("measure", "where", "now", "before", "ratio", "interval", "met")
    return f"{conditions}\n\n{aligned_table(head, map(_row, pairs))}"


def _row(pairs: Pairs) -> tuple[str, ...]:
    low, high = median_interval(pairs.ratios)
    verdict = "yes" if pairs.is_met else "**no**"
    return (
        pairs.measure,
        str(pairs.workload),
        f"{format_number(statistics.median(pairs.now))} ms",
        f"{format_number(statistics.median(pairs.before))} ms",
        f"{statistics.median(pairs.ratios):.2f}",
        f"{low:.2f} to {high:.2f}",
        verdict if pairs.is_bound else "",
    )
