"""Versions of the model on the page of a probe: a table, and marks on the latency chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from probe.history.quantiles import quantiles
from probe.history.version_log import VersionPeriod
from probe.result import Result
from probe.server.charts import HEIGHT, LatencyChart, TimeAxis

# With more changes, several versions respond in turn. Only the first result of each version is then
# marked.
MAX_CHANGES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """One version, with the latency of its retained successes: quantiles (seconds by rank)."""

    period: VersionPeriod
    quantiles: Mapping[float, float]
    successes: int


def version_rows(periods: Sequence[VersionPeriod], recent: Sequence[Result]) -> list[VersionRow]:
    """Return the versions in the order of `periods`; `recent` are the retained results."""
    latencies: dict[str, list[float]] = {period.version: [] for period in periods}
    for result in recent:
        if result.failure is None and result.counts and result.version in latencies:
            latencies[result.version].append(result.latency)
    return [
        VersionRow(
            period=period,
            quantiles=quantiles(latencies[period.version]),
            successes=len(latencies[period.version]),
        )
        for period in periods
    ]


def version_marks(chart: LatencyChart, results: Sequence[Result]) -> str:
    """Return the SVG path of a vertical line in `chart` for each change of the version.

    `results` are those of the chart, in the order of their arrival. Results without a version are
    no change.
    """
    axis = TimeAxis(chart.first, chart.last)
    changes: list[Result] = []
    firsts: dict[str, Result] = {}
    previous = None
    for result in results:
        if result.version is None:
            continue
        if previous not in (None, result.version):
            changes.append(result)
        firsts.setdefault(result.version, result)
        previous = result.version
    marked = changes if len(changes) <= MAX_CHANGES else list(firsts.values())[1:]
    return "".join(f"M{axis.x(result.started.timestamp()):.0f} 0v{HEIGHT}" for result in marked)
