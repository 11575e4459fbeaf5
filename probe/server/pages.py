"""The pages for people."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from probe import __version__
from probe.clock import rfc3339
from probe.history.history import MAX_RESULTS, ProbeHistory
from probe.history.objectives import StatusWindow
from probe.metrics.recorder import shown_url
from probe.server import formatting
from probe.server.charts import latency_chart
from probe.server.summary import detail, summarise
from probe.server.waterfall import request_bars

if TYPE_CHECKING:
    from jinja2 import Environment

T = TypeVar("T")

PACKAGE_DIR = Path(__file__).parent
SMALL_CHART_HEIGHT = 120
"""Results that the plot of one among many probes shows."""
GIL_YIELD_SECONDS = 0.0001
"""Seconds between two of many probes: with none, those that run meanwhile wait 5 ms for each turn
of the interpreter, and start 25 to 45 ms late at the 99th percentile (200 a second), not 5."""


class Pages:
    """Makes the pages of what is remembered."""

    def __init__(self, now: Callable[[], float], standstill: Callable[[], str | None]) -> None:
        """`now` is the wall clock, in Unix seconds; `standstill` says why no probe is started."""
        self._now = now
        self._standstill = standstill

    @cached_property
    def _templates(self) -> "Environment":
        """Made when somebody opens a page: a sidecar that nobody looks at does without its 2 MB."""
        return _environment()

    def home(self, everything: Iterable[ProbeHistory]) -> str:
        """All probes."""
        summaries = list(map(summarise, everything))
        cards = (
            (one, latency_chart(one.kept, most=SMALL_CHART_HEIGHT)) for one in yield_gil(summaries)
        )
        template = self._templates.get_template("home.html")
        return template.render(
            summaries=summaries, cards=cards, now=self._now(), standstill=self._standstill()
        )

    def probe(self, kept: ProbeHistory, *, excerpts: bool) -> str:
        """One probe; with the excerpts of answers only for who may see them."""
        return self._templates.get_template("probe.html").render(
            details=detail(kept),
            plot=latency_chart(kept, most=MAX_RESULTS),
            excerpts=excerpts,
            now=self._now(),
            standstill=self._standstill(),
        )


def yield_gil(items: Iterable[T]) -> Iterator[T]:
    """The items, with time between them for whoever waits for the interpreter."""
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
    said = (
        formatting.format_budget,
        formatting.format_time,
        formatting.format_threshold,
        formatting.format_ratio,
        formatting.format_duration,
        formatting.format_target,
    )
    filters = {
        function.__name__: function
        for function in (*said, formatting.format_latency, request_bars, rfc3339)
    }
    environment.filters.update(filters, in_path=lambda name: quote(name, safe=""), url=shown_url)
    environment.globals |= {"version": __version__, "windows": tuple(StatusWindow)}
    return environment
