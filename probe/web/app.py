"""The routes."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from probe.clock import Clock
from probe.record.exposition import form
from probe.record.history import History
from probe.web.browser import BrowserHeaders
from probe.web.compression import Compression, Encoded, encoded, takes_gzip
from probe.web.lifecycle import Lifecycle, lifecycle_routes
from probe.web.ondemand import OnDemands, Target
from probe.web.refusal import refusal
from probe.web.report import report
from probe.web.shared import Shared
from probe.web.site import site_routes

Render = Callable[[str], tuple[bytes, str]]
"""From what a scrape accepts to the page and its content type."""

MOST_ON_DEMAND = 8
"""Probes asked for over HTTP that run at once; a hanging endpoint holds one of them."""


def create_app(
    render: Render,
    targets: Callable[[], Mapping[str, Target]],
    history: History,
    lifecycle: Lifecycle,
    clock: Clock,
) -> Starlette:
    """The application: the page of metrics, pages for people, and probes asked for by name."""
    on_demand = OnDemands(targets, clock.seconds, MOST_ON_DEMAND)
    scrapes = Shared[Encoded](1, fresh=0.0, now=clock.seconds)

    async def metrics(request: Request) -> Response:
        accepted, in_gzip = form(request.headers.get("accept", "")), takes_gzip(request.headers)

        def scrape() -> Encoded:
            page, content_type = render(accepted)
            return encoded(Response(page, headers={"Content-Type": content_type}), in_gzip=in_gzip)

        return (await scrapes.of((accepted, in_gzip), scrape)).response()

    async def probe(request: Request) -> Response:
        name = request.query_params.get("name")
        if name is None:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "which probe? write /probe?name=NAME")
        asked = on_demand.of(name)
        if asked is None:
            known = ", ".join(sorted(on_demand.names()))
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no probe {name!r}; there are: {known}")
        result, cached = await asked.ask()
        return JSONResponse({**report(result), "cached": cached})

    app = Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/probe", probe),
            *site_routes(history, targets, lifecycle.standstill, clock),
            *lifecycle_routes(lifecycle),
        ],
        middleware=[
            Middleware(BrowserHeaders),
            Middleware(Compression),
        ],
        exception_handlers={HTTPException: _error},
    )
    app.router.redirect_slashes = False  # it would redirect to whatever host a client names
    return app


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(request.url.path, _words(error), error.status_code, error.headers)


def _words(error: HTTPException) -> str:
    """Our own, or in the place of Starlette's, which are no more than the name of the status."""
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and error.headers:
        methods = " and ".join(sorted(error.headers["Allow"].split(", ")))
        return f"not with this method; {methods} are allowed here"
    if error.detail == HTTPStatus.NOT_FOUND.phrase:
        return "nothing is here; there are /, /metrics, /probe?name=NAME and /api/v1/probes"
    return error.detail
