"""Mean of each phase in the last hour of a period, compared with earlier days and weeks."""

from collections.abc import Mapping
from dataclasses import dataclass

from probe.clock import DAY_SECONDS, HOUR_SECONDS
from probe.history.phase_comparison import (
    FOUR_WEEKS_DAYS,
    MIN_MEAN_SECONDS,
    MIN_RESULTS,
    USUAL_DAYS,
    PhaseComparison,
    compare_phase,
)
from probe.metrics import catalogue
from probe.prometheus.client import PrometheusClient
from probe.prometheus.probe_group import ProbeGroup
from probe.report.period import Period
from probe.result import Phase

# The last hour with enough successes is searched for in this time before the end of the period.
MAX_SEARCHED_HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseComparisons:
    """The phases of one probe in the last hour that has enough successes."""

    end: float
    """End of the hour (Unix seconds)."""
    phases: tuple[PhaseComparison, ...]
    days_without_mean: tuple[int, ...]
    """How many days earlier the same hour has too few successes, or no data."""

    @property
    def start(self) -> float:
        return self.end - HOUR_SECONDS


def read_phase_comparisons(
    client: PrometheusClient, group: ProbeGroup, period: Period
) -> PhaseComparisons | None:
    """Compare the phases at the end of the period with earlier.

    Return None if no hour has enough successes, which is searched for back from the end. Raises
    PrometheusError.
    """
    hours = min(MAX_SEARCHED_HOURS, int(period.seconds // HOUR_SECONDS))
    for hours_before_end in range(hours):
        end = period.end - hours_before_end * HOUR_SECONDS
        if recent := _read_means(client, group, end):
            return _compared(client, group, end, recent)
    return None


def _compared(
    client: PrometheusClient, group: ProbeGroup, end: float, recent: Mapping[Phase, float]
) -> PhaseComparisons:
    earlier = {
        days: _read_means(client, group, end - days * DAY_SECONDS)
        for days in (*USUAL_DAYS, FOUR_WEEKS_DAYS)
    }
    return PhaseComparisons(
        end=end,
        phases=tuple(
            compare_phase(phase, mean, {days: earlier[days].get(phase) for days in earlier}.get)
            for phase, mean in recent.items()
        ),
        days_without_mean=tuple(days for days, means in earlier.items() if not means),
    )


def _read_means(client: PrometheusClient, group: ProbeGroup, end: float) -> dict[Phase, float]:
    """Return the means (seconds) of the successes in the hour until `end` (Unix seconds).

    `increase()` extrapolates sums and counts alike, which does not change their ratio.
    """
    sums, counts = (_read_increases(client, group, suffix, end) for suffix in ("sum", "count"))
    return {
        phase: max(sums[phase] / counts[phase], MIN_MEAN_SECONDS)
        for phase in Phase
        if phase in sums and round(counts.get(phase, 0.0)) >= MIN_RESULTS
    }


def _read_increases(
    client: PrometheusClient, group: ProbeGroup, suffix: str, end: float
) -> dict[str, float]:
    selector = group.selector(f"{catalogue.PHASE.name}_{suffix}")
    found = client.instant(f"sum by (phase) (increase({selector}[{HOUR_SECONDS}s]))", end)
    return {series.labels.get("phase", ""): series.value for series in found}
