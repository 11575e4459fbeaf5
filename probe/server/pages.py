"""The HTML pages: all probes, and one probe in detail."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from probe.history.half_hours import HalfHour
from probe.history.phase_comparison import PhaseComparison
from probe.history.phase_wording import slower_sentences
from probe.history.snapshots import ProbeHistory, ProbeOverview
from probe.server.charts import first_token_chart, half_hour_bars, latency_chart, status_bars
from probe.server.lifecycle import Lifecycle
from probe.server.links import PageLink, TraceUrl, no_trace_url
from probe.server.page_templates import page_templates
from probe.server.probe_list import ListPage, ListQuery, count_states, label_names, select_page
from probe.server.stream_charts import stream_timelines
from probe.server.summary import ListedProbe, ProbeState, listed_probe, read_details, summarise
from probe.server.versions import version_marks, version_rows
from probe.threads import GIL_YIELD_SECONDS, yield_gil

# From the name of a probe to its state and the HTML of its row; None after its removal.
RenderRow = Callable[[str], tuple[ListedProbe, str] | None]

# The page of all probes has a filter from this number of probes on.
MIN_FILTERED_PROBES = 10


class ProbeListing:
    """State of all probes, and the rows of the pages that show it.

    Each row is rendered once, however many pages with different queries show it. A row shows the
    state when it is rendered, which may be later than that of the listing. From then on, the
    listing has the later state of this probe, so that counts and rows of a page agree.
    """

    def __init__(self, probes: Iterable[ListedProbe], render_row: RenderRow) -> None:
        self._probes = {probe.name: probe for probe in yield_gil(probes)}
        self._render_row = render_row
        self._rows: dict[str, str] = {}
        self._lock = threading.Lock()

    def select(self, query: ListQuery) -> tuple[list[ListedProbe], ListPage, Mapping[str, str]]:
        """Return all probes, the page that `query` selects, and the HTML of its rows by name."""
        while True:
            with self._lock:
                probes, rows = list(self._probes.values()), dict(self._rows)
            page = select_page(yield_gil(probes), query)
            shown = [probe.name for group in page.groups for probe in group.probes]
            missing = [name for name in shown if name not in rows]
            if not missing:
                return probes, page, rows
            # The states of these probes may have changed, and with them the page.
            for name in missing:
                time.sleep(GIL_YIELD_SECONDS)
                self._add_row(name)

    def _add_row(self, name: str) -> None:
        """Render a row, unless another thread does it meanwhile. A removed probe is dropped."""
        rendered = self._render_row(name)
        with self._lock:
            if rendered is None:
                self._probes.pop(name, None)
            elif name not in self._rows:
                self._probes[name], self._rows[name] = rendered


class Pages:
    """Renders the pages."""

    def __init__(
        self,
        now: Callable[[], float],
        lifecycle: Lifecycle,
        links: Sequence[PageLink],
        trace_url: TraceUrl = no_trace_url,
    ) -> None:
        """`now` is the wall clock (Unix seconds)."""
        self._now = now
        self._lifecycle = lifecycle
        self._links = links
        self._trace_url = trace_url

    def listing(
        self,
        overviews: Iterable[ProbeOverview],
        snapshot: Callable[[str], ProbeHistory | None],
    ) -> ProbeListing:
        """Return the present state of all probes, for `all_probes`.

        `snapshot` returns the history of a probe, or None after its removal. It is called for the
        probes that a page shows.
        """
        paused, now = self._lifecycle.paused(), self._now()
        macros: Any = page_templates().get_template("parts.html").module

        def render_row(name: str) -> tuple[ListedProbe, str] | None:
            history = snapshot(name)
            if history is None:
                return None
            summary = summarise(history, paused=paused)
            row: str = macros.row(summary, status_bars(summary), now)  # marked as safe HTML
            return listed_probe(history.overview(), paused=paused), row

        probes = [listed_probe(overview, paused=paused) for overview in overviews]
        return ProbeListing(probes, render_row)

    def all_probes(self, listing: ProbeListing, query: ListQuery) -> str:
        """Return the page of all probes, with the rows that `query` selects."""
        probes, page, rows = listing.select(query)
        return self._render(
            "home.html",
            probes=probes,
            rows=rows,
            counts=count_states(yield_gil(probes)),
            missed=[probe for probe in yield_gil(probes) if probe.missed],
            has_recent_results=any(probe.has_recent_results for probe in yield_gil(probes)),
            has_objectives=any(probe.probe.objectives for probe in yield_gil(probes)),
            startup_seconds_left=min(
                (
                    probe.overview.startup_seconds_left
                    for probe in yield_gil(probes)
                    if probe.state is ProbeState.NEVER_ANSWERED
                ),
                default=0.0,
            ),
            page=page,
            query=query,
            labels=label_names(yield_gil(probes)),
            links={link.title: link.template for link in self._links if not link.needs_probe},
            has_filter=len(probes) >= MIN_FILTERED_PROBES or query != ListQuery(),
        )

    def one_probe(
        self,
        history: ProbeHistory,
        half_hours: Sequence[HalfHour],
        comparisons: Sequence[PhaseComparison],
        *,
        excerpts: bool,
    ) -> str:
        """Return the page of one probe, with excerpts of responses if `excerpts`."""
        has_earlier_days = any(item.usual or item.four_weeks_ago for item in comparisons)
        details = read_details(history, paused=self._lifecycle.paused())
        chart = latency_chart(details.summary)
        return self._render(
            "probe.html",
            details=details,
            chart=chart,
            version_marks=version_marks(chart, details.recent) if chart else "",
            versions=version_rows(history.versions, details.recent),
            first_token_chart=first_token_chart(details.summary.probe, details.recent),
            timelines=stream_timelines(details.recent),
            comparisons=comparisons if has_earlier_days else (),
            slower=list(slower_sentences(comparisons)),
            half_hours=half_hours,
            half_hour_bars=half_hour_bars(half_hours),
            excerpts=excerpts,
            trace_url=self._trace_url,
            links={link.title: link.url(details.summary.name) for link in self._links},
        )

    def _render(self, name: str, **variables: object) -> str:
        reason = self._lifecycle.not_running_reason()
        template = page_templates().get_template(name)
        config = self._lifecycle.config_state()
        texts = template.generate(
            variables, now=self._now(), not_running_reason=reason, config=config
        )
        return "".join(yield_gil(texts))
