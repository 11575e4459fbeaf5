"""Routes of the pages and of the API."""

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from probe.clock import Clock
from probe.history.half_hours import HalfHour
from probe.history.history import History
from probe.history.snapshots import ProbeHistory, ProbeOverview
from probe.server.api import all_probes_json, one_probe_json
from probe.server.cached_response import CachedResponse
from probe.server.compression import compress
from probe.server.lifecycle import Lifecycle
from probe.server.limits import unknown_probe_message
from probe.server.links import PageLink, TraceUrl, no_trace_url
from probe.server.local_client import may_see_responses
from probe.server.page_templates import PACKAGE_DIR
from probe.server.pages import Pages, ProbeListing
from probe.server.probe_list import ListQuery
from probe.server.single_flight import SingleFlight
from probe.server.static_files import static_routes
from probe.threads import yield_gil

# A page is rendered at most once in this time, however many clients request it.
MAX_PAGE_AGE_SECONDS = 1.0
# With a second thread, a page of one probe does not wait for the page of all probes.
RENDER_THREADS = 2


def page_routes(
    history: History,
    names: Callable[[], Iterable[str]],
    lifecycle: Lifecycle,
    clock: Clock,
    scrapes: SingleFlight[CachedResponse],
    *,
    links: Sequence[PageLink] = (),
    trace_url: TraceUrl = no_trace_url,
    max_page_age_seconds: float = MAX_PAGE_AGE_SECONDS,
) -> list[BaseRoute]:
    """Return the routes of the pages and of the API.

    `names` returns the names of the current probes in the order of the pages. Pages are rendered on
    threads while there are no `scrapes`, so that they do not delay them.
    """
    renders = SharedRenders(lifecycle, clock, scrapes, max_page_age_seconds)
    histories = _Histories(history, names)
    pages = Pages(clock.unix_seconds, lifecycle, links, trace_url)
    return [
        *_html_routes(pages, histories, renders),
        *_api_routes(lifecycle, histories, renders),
        *static_routes(PACKAGE_DIR / "static"),
    ]


class SharedRenders:
    """Renders pages and API documents on threads, once for all requests at the same time."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        clock: Clock,
        scrapes: SingleFlight[CachedResponse],
        max_age_seconds: float,
    ) -> None:
        self._lifecycle = lifecycle
        self._renders = SingleFlight[CachedResponse](
            RENDER_THREADS,
            max_age_seconds=max_age_seconds,
            now=clock.monotonic_seconds,
            waits_for=scrapes,
        )
        # Shared by pages with different queries: a client can invent any number of them.
        self._listings = SingleFlight[ProbeListing](
            1, max_age_seconds=max_age_seconds, now=clock.monotonic_seconds, waits_for=scrapes
        )

    async def listing(self, render: Callable[[], ProbeListing]) -> ProbeListing:
        """Return the state of all probes."""
        return await self._listings.run(self._daemon_state(), render)

    async def respond(
        self, request: Request, render: Callable[[], CachedResponse], variant: Hashable = None
    ) -> Response:
        """Return the rendered page. Requests with the same path and `variant` share it."""
        key = (request.scope["path"], variant, self._daemon_state())
        return (await self._renders.run(key, render)).response(request)

    def _daemon_state(self) -> Hashable:
        """Return what invalidates all pages at once when it changes: pause, resume and reload."""
        return self._lifecycle.not_running_reason(), self._lifecycle.config_state()


class _Histories:
    """Results of the current probes, whose names `names` returns."""

    def __init__(self, history: History, names: Callable[[], Iterable[str]]) -> None:
        self._history = history
        self._names = names
        self.snapshot = history.snapshot
        self.phase_comparisons = history.phase_comparisons

    def all(self) -> Iterator[ProbeHistory]:
        return (item for name in yield_gil(self._names()) if (item := self._history.snapshot(name)))

    def overviews(self) -> Iterator[ProbeOverview]:
        return (item for name in yield_gil(self._names()) if (item := self._history.overview(name)))

    def requested(self, request: Request) -> tuple[ProbeHistory, list[HalfHour]]:
        """Return the results of the probe in the path, also by half hour.

        Raises HTTPException for an unknown probe.
        """
        name = request.path_params["name"]
        if history := self._history.snapshot(name):
            return history, self._history.half_hours(name)
        raise HTTPException(HTTPStatus.NOT_FOUND, unknown_probe_message(name, self._names()))


def _html_routes(pages: Pages, histories: _Histories, renders: SharedRenders) -> list[BaseRoute]:
    async def home_page(request: Request) -> Response:
        query = _list_query(request)
        listing = await renders.listing(
            lambda: pages.listing(histories.overviews(), histories.snapshot)
        )
        return await renders.respond(
            request, lambda: _html(pages.all_probes(listing, query)), query
        )

    async def probe_page(request: Request) -> Response:
        excerpts = may_see_responses(request)

        def render() -> CachedResponse:
            history, half_hours = histories.requested(request)
            comparisons = histories.phase_comparisons(history.probe.name)
            return _html(pages.one_probe(history, half_hours, comparisons, excerpts=excerpts))

        return await renders.respond(request, render, excerpts)

    return [Route("/", home_page), Route("/probes/{name:path}", probe_page)]


def _api_routes(
    lifecycle: Lifecycle, histories: _Histories, renders: SharedRenders
) -> list[BaseRoute]:
    async def api_probes(request: Request) -> Response:
        return await renders.respond(
            request, lambda: _json(all_probes_json(histories.all(), lifecycle))
        )

    async def api_results(request: Request) -> Response:
        excerpts = may_see_responses(request)

        def render() -> CachedResponse:
            history, half_hours = histories.requested(request)
            return _json(one_probe_json(history, half_hours, lifecycle, excerpts=excerpts))

        return await renders.respond(request, render, excerpts)

    return [
        Route("/api/v1/probes", api_probes),
        Route("/api/v1/probes/{name:path}/results", api_results),
    ]


def _list_query(request: Request) -> ListQuery:
    """Return the query of the page of all probes. Raises HTTPException for a wrong one."""
    try:
        return ListQuery.parse(request.query_params)
    except ValueError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(error)) from None


def _html(page: str) -> CachedResponse:
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
    return CachedResponse(compress([page]), headers)


def _json(document: Mapping[str, Any]) -> CachedResponse:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return CachedResponse(compress(_json_parts(document)), headers)


def _json_parts(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text of a document in parts, one for each item of its lists and iterators.

    `json.dumps` of a whole document holds the GIL from start to end, however many probes it has.
    """
    yield "{"
    for number, (key, value) in enumerate(document.items()):
        yield f"{',' if number else ''}{_json_text(key)}:"
        if isinstance(value, list | Iterator):
            yield "["
            for index, item in enumerate(value):
                yield f"{',' if index else ''}{_json_text(item)}"
            yield "]"
        else:
            yield _json_text(value)
    yield "}"


def _json_text(value: object) -> str:
    # As Starlette's JSONResponse.
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
