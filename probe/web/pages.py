"""The pages for people."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from probe import __version__
from probe.clock import rfc3339
from probe.record.history import RESULTS, Kept, Window
from probe.record.recorder import shown_url
from probe.web import words
from probe.web.bars import legs
from probe.web.plot import plot
from probe.web.summary import detail, summarise

if TYPE_CHECKING:
    from jinja2 import Environment

T = TypeVar("T")

HERE = Path(__file__).parent
SMALL_PLOT = 120
"""Results that the plot of one among many probes shows."""
BREATH = 0.0001
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

    def home(self, everything: Iterable[Kept]) -> str:
        """All probes."""
        summaries = list(map(summarise, everything))
        cards = ((one, plot(one.kept, most=SMALL_PLOT)) for one in unhurried(summaries))
        template = self._templates.get_template("home.html")
        return template.render(
            summaries=summaries, cards=cards, now=self._now(), standstill=self._standstill()
        )

    def probe(self, kept: Kept, *, excerpts: bool) -> str:
        """One probe; with the excerpts of answers only for who may see them."""
        return self._templates.get_template("probe.html").render(
            details=detail(kept),
            plot=plot(kept, most=RESULTS),
            excerpts=excerpts,
            now=self._now(),
            standstill=self._standstill(),
        )


def unhurried(items: Iterable[T]) -> Iterator[T]:
    """The items, with time between them for whoever waits for the interpreter."""
    for item in items:
        time.sleep(BREATH)
        yield item


def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - see above

    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    said = (words.budget, words.instant, words.limit, words.share, words.span, words.target)
    filters = {function.__name__: function for function in (*said, words.time_taken, legs, rfc3339)}
    environment.filters.update(filters, in_path=lambda name: quote(name, safe=""), url=shown_url)
    environment.globals |= {"version": __version__, "windows": tuple(Window)}
    return environment
