"""Where the pages and the API are to be found."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from probe.clock import Clock
from probe.history.history import History, ProbeHistory
from probe.server.access import is_authenticated
from probe.server.api import all_probes, one_probe
from probe.server.compression import CachedResponse, accepts_gzip, encode
from probe.server.pages import PACKAGE_DIR, Pages, yield_gil
from probe.server.single_flight import SingleFlight

MAX_PAGE_AGE_SECONDS = 1.0
"""Seconds for which a page is not made anew, however many people look at it."""
RENDER_THREADS = 2
"""That make pages: while one takes long, as that of all probes does, another still comes."""

_OF_THE_MOMENT = {"Cache-Control": "no-store"}


def page_routes(
    history: History,
    names: Callable[[], Iterable[str]],
    standstill: Callable[[], str | None],
    clock: Clock,
) -> list[BaseRoute]:
    """The pages of the probes that there are at present, in this order; `standstill` says why no
    probe is started, if none is.

    They are made on threads, so that scrapes go on beside them.
    """
    pages = Pages(clock.unix, standstill)
    shared = SingleFlight[CachedResponse](
        RENDER_THREADS, fresh=MAX_PAGE_AGE_SECONDS, now=clock.seconds
    )

    def everything() -> Iterator[ProbeHistory]:
        return yield_gil([kept for name in names() if (kept := history.snapshot(name))])

    def asked(request: Request) -> ProbeHistory:
        name = request.path_params["name"]
        if kept := history.snapshot(name):
            return kept
        known = ", ".join(sorted(names()))
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no probe {name!r}; there are: {known}")

    async def answer(request: Request, make: Callable[[], Response]) -> Response:
        in_gzip = accepts_gzip(request.headers)
        key = request.scope["path"], is_authenticated(request), in_gzip
        made = await shared.of(key, lambda: encode(make(), in_gzip=in_gzip))
        return made.response()

    async def home(request: Request) -> Response:
        return await answer(request, lambda: _page(pages.home(everything())))

    async def probe(request: Request) -> Response:
        kept, excerpts = asked(request), is_authenticated(request)
        return await answer(request, lambda: _page(pages.probe(kept, excerpts=excerpts)))

    async def api_probes(request: Request) -> Response:
        return await answer(request, lambda: _told(all_probes(everything(), standstill())))

    async def api_results(request: Request) -> Response:
        kept, excerpts = asked(request), is_authenticated(request)
        return await answer(
            request, lambda: _told(one_probe(kept, standstill(), excerpts=excerpts))
        )

    return [
        Route("/", home),
        Route("/probes/{name:path}", probe),
        Route("/api/v1/probes", api_probes),
        Route("/api/v1/probes/{name:path}/results", api_results),
        Mount("/static", StaticFiles(directory=PACKAGE_DIR / "static")),
    ]


def _page(page: str) -> Response:
    return HTMLResponse(page, headers=_OF_THE_MOMENT)


def _told(told: Mapping[str, Any]) -> Response:
    return JSONResponse(told, headers=_OF_THE_MOMENT)
