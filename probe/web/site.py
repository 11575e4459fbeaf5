"""Where the pages and the API are to be found."""

import time
from collections.abc import Callable, Iterable
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from probe.record.history import History, Kept
from probe.web.access import is_authenticated
from probe.web.api import all_probes, one_probe
from probe.web.pages import HERE, Pages

_OF_THE_MOMENT = {"Cache-Control": "no-store"}


def site_routes(
    history: History,
    names: Callable[[], Iterable[str]],
    standstill: Callable[[], str | None],
) -> list[BaseRoute]:
    """The pages of the probes that there are at present, in this order; `standstill` says why no
    probe is started, if none is.

    The handlers are no coroutines: they run on threads, and scrapes go on beside them.
    """
    pages = Pages(time.time, standstill)

    def everything() -> list[Kept]:
        return [kept for name in names() if (kept := history.of(name))]

    def asked(request: Request) -> Kept:
        name = request.path_params["name"]
        if kept := history.of(name):
            return kept
        known = ", ".join(sorted(names()))
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no probe {name!r}; there are: {known}")

    def home(_: Request) -> Response:
        return HTMLResponse(pages.home(everything), headers=_OF_THE_MOMENT)

    def probe(request: Request) -> Response:
        page = pages.probe(asked(request), excerpts=is_authenticated(request))
        return HTMLResponse(page, headers=_OF_THE_MOMENT)

    def api_probes(_: Request) -> Response:
        return JSONResponse(all_probes(everything(), standstill()), headers=_OF_THE_MOMENT)

    def api_results(request: Request) -> Response:
        told = one_probe(asked(request), excerpts=is_authenticated(request))
        return JSONResponse(told, headers=_OF_THE_MOMENT)

    return [
        Route("/", home),
        Route("/probes/{name:path}", probe),
        Route("/api/v1/probes", api_probes),
        Route("/api/v1/probes/{name:path}/results", api_results),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
