"""The HTML pages: all probes, and one probe in detail."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from probe import __version__
from probe.clock import rfc3339
from probe.history.history import MAX_RESULTS, ProbeHistory
from probe.history.objectives import ObjectiveStatus, StatusWindow
from probe.history.quantiles import phase_quantiles, quantiles
from probe.history.result_codec import ResultSummary
from probe.metrics.recorder import shown_url
from probe.result import Phase, Result
from probe.server import formatting
from probe.server.charts import latency_chart, request_bars

if TYPE_CHECKING:
    from jinja2 import Environment

T = TypeVar("T")

PACKAGE_DIR = Path(__file__).parent
# Results in the small chart of a probe on the page of all probes.
MAX_SMALL_CHART_RESULTS = 120
# Pause between two probes while a page is rendered. Without it, probes that run meanwhile wait 5 ms
# for the GIL each time they need it, and start 25 to 45 ms late at the 99th percentile instead of
# 5 ms (200 probes per second).
GIL_YIELD_SECONDS = 0.0001


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSummary:
    """State of one probe. `quantiles` (seconds by rank) cover the retained successes."""

    history: ProbeHistory
    name: str
    last: ResultSummary | None
    quantiles: Mapping[float, float]
    successes: int

    @property
    def objectives(self) -> Sequence[ObjectiveStatus]:
        return self.history.objectives

    @property
    def failing(self) -> bool:
        """Whether the last result is a failure that counts against the SLO."""
        reason = self.last.reason if self.last else None
        return reason is not None and reason.counts_against_slo

    @property
    def missed(self) -> bool:
        """Whether an objective was missed over the last 5 minutes."""
        return any(status.met(StatusWindow.FIVE_MINUTES) is False for status in self.objectives)

    @property
    def has_recent_results(self) -> bool:
        """Whether an objective has results in the last 5 minutes."""
        return any(status.met(StatusWindow.FIVE_MINUTES) is not None for status in self.objectives)

    @property
    def covered_seconds(self) -> float:
        """Seconds since counting began, at most 30 days."""
        return max((status.covered_seconds for status in self.objectives), default=0.0)


def summarise(history: ProbeHistory) -> ProbeSummary:
    """Return the summary of a probe."""
    results = history.summaries()
    latencies = [result.latency for result in results if result.reason is None]
    return ProbeSummary(
        history=history,
        name=history.probe.name,
        last=results[-1] if results else None,
        quantiles=quantiles(latencies),
        successes=len(latencies),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeDetails:
    """All retained results of one probe."""

    summary: ProbeSummary
    recent: Sequence[Result]
    slowest: Sequence[Result]
    failures: Sequence[Result]
    phases: Mapping[Phase, Mapping[float, float]]


def read_details(history: ProbeHistory) -> ProbeDetails:
    """Return all retained results of a probe."""
    recent = history.recent()
    return ProbeDetails(
        summary=summarise(history),
        recent=recent,
        slowest=history.slowest(),
        failures=history.failures(),
        phases=phase_quantiles(recent),
    )


class Pages:
    """Renders the pages."""

    def __init__(
        self, now: Callable[[], float], not_running_reason: Callable[[], str | None]
    ) -> None:
        """`now` is the wall clock (Unix seconds)."""
        self._now = now
        self._not_running_reason = not_running_reason

    @cached_property
    def _templates(self) -> "Environment":
        # Loaded with the first page: a daemon that serves metrics only saves 2 MB.
        return _environment()

    def all_probes(self, histories: Iterable[ProbeHistory]) -> str:
        """Return the page of all probes."""
        summaries = list(map(summarise, histories))
        cards = (
            (summary, latency_chart(summary.history, max_results=MAX_SMALL_CHART_RESULTS))
            for summary in yield_gil(summaries)
        )
        return self._render("home.html", summaries=summaries, cards=cards)

    def one_probe(self, history: ProbeHistory, *, excerpts: bool) -> str:
        """Return the page of one probe, with excerpts of responses if `excerpts`."""
        return self._render(
            "probe.html",
            details=read_details(history),
            chart=latency_chart(history, max_results=MAX_RESULTS),
            excerpts=excerpts,
        )

    def _render(self, name: str, **variables: object) -> str:
        reason = self._not_running_reason()
        template = self._templates.get_template(name)
        return template.render(variables, now=self._now(), not_running_reason=reason)


def yield_gil(items: Iterable[T]) -> Iterator[T]:
    """Yield the items, and release the GIL for a moment before each."""
    for item in items:
        time.sleep(GIL_YIELD_SECONDS)
        yield item


def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - see above

    environment = Environment(
        loader=FileSystemLoader(PACKAGE_DIR / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters = (
        formatting.format_budget,
        formatting.format_elapsed,
        formatting.format_latency,
        formatting.format_ratio,
        formatting.format_target,
        formatting.format_threshold,
        formatting.format_time,
        request_bars,
        rfc3339,
    )
    environment.filters |= {function.__name__: function for function in filters}
    environment.filters.update(in_path=lambda name: quote(name, safe=""), url=shown_url)
    environment.globals |= {"version": __version__, "windows": tuple(StatusWindow)}
    return environment
