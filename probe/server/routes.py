"""Routes of the pages and of the API."""

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from probe.clock import Clock
from probe.history.history import History, ProbeHistory, ProbeOverview
from probe.server.api import all_probes_json, one_probe_json
from probe.server.cached_response import CachedResponse
from probe.server.compression import compress
from probe.server.lifecycle import Lifecycle
from probe.server.limits import unknown_probe_message
from probe.server.links import PageLink
from probe.server.local_client import may_see_responses
from probe.server.pages import PACKAGE_DIR, Pages, ProbeListing, yield_gil
from probe.server.probe_list import ListQuery
from probe.server.single_flight import SingleFlight

# A page is rendered at most once in this time, however many clients request it.
MAX_PAGE_AGE_SECONDS = 1.0
# With a second thread, a page of one probe does not wait for the page of all probes.
RENDER_THREADS = 2


def page_routes(
    history: History,
    names: Callable[[], Iterable[str]],
    lifecycle: Lifecycle,
    clock: Clock,
    *,
    links: Sequence[PageLink] = (),
    max_page_age_seconds: float = MAX_PAGE_AGE_SECONDS,
) -> list[BaseRoute]:
    """Return the routes of the pages and of the API.

    `names` returns the names of the current probes in the order of the pages. Pages are rendered on
    threads, so that they do not delay scrapes.
    """
    pages = Pages(clock.unix_seconds, lifecycle, links)
    renders = SingleFlight[CachedResponse](
        RENDER_THREADS, max_age_seconds=max_page_age_seconds, now=clock.monotonic_seconds
    )

    # Shared by pages with different queries: a client can invent any number of them.
    listings = SingleFlight[ProbeListing](
        1, max_age_seconds=max_page_age_seconds, now=clock.monotonic_seconds
    )

    def all_histories() -> Iterator[ProbeHistory]:
        return (item for name in yield_gil(names()) if (item := history.snapshot(name)))

    def all_overviews() -> Iterator[ProbeOverview]:
        return (item for name in yield_gil(names()) if (item := history.overview(name)))

    def requested_history(request: Request) -> ProbeHistory:
        """Return the history of the probe in the path. Raises HTTPException for an unknown one."""
        name = request.path_params["name"]
        if probe_history := history.snapshot(name):
            return probe_history
        raise HTTPException(HTTPStatus.NOT_FOUND, unknown_probe_message(name, names()))

    async def respond(
        request: Request, render: Callable[[], CachedResponse], variant: Hashable = None
    ) -> Response:
        """Return the rendered page. Requests with the same path and `variant` share it."""
        cached = await renders.run((request.scope["path"], variant), render)
        return cached.response(request)

    async def home_page(request: Request) -> Response:
        query = _list_query(request)
        listing = await listings.run(
            "all", lambda: pages.listing(all_overviews(), history.snapshot)
        )
        return await respond(request, lambda: _html(pages.all_probes(listing, query)), query)

    async def probe_page(request: Request) -> Response:
        excerpts = may_see_responses(request)

        def render() -> CachedResponse:
            probe = requested_history(request)
            half_hours = history.half_hours(probe.probe.name)
            return _html(pages.one_probe(probe, half_hours, excerpts=excerpts))

        return await respond(request, render, excerpts)

    async def api_probes(request: Request) -> Response:
        return await respond(request, lambda: _json(all_probes_json(all_histories(), lifecycle)))

    async def api_results(request: Request) -> Response:
        excerpts = may_see_responses(request)

        def render() -> CachedResponse:
            probe = requested_history(request)
            half_hours = history.half_hours(probe.probe.name)
            return _json(one_probe_json(probe, half_hours, lifecycle, excerpts=excerpts))

        return await respond(request, render, excerpts)

    return [
        Route("/", home_page),
        Route("/probes/{name:path}", probe_page),
        Route("/api/v1/probes", api_probes),
        Route("/api/v1/probes/{name:path}/results", api_results),
        Mount("/static", StaticFiles(directory=PACKAGE_DIR / "static")),
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
    # As Starlette's JSONResponse.
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return CachedResponse(compress([text]), headers)
