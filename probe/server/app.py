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
from probe.history.history import History
from probe.metrics.exposition import negotiate_content_type
from probe.serialization import result_json
from probe.server.compression import CachedResponse, Compression, accepts_gzip, encode
from probe.server.error_response import error_response
from probe.server.headers import SecurityHeaders
from probe.server.lifecycle import Lifecycle, lifecycle_routes
from probe.server.on_demand import OnDemandProbes, OnDemandTarget
from probe.server.routes import page_routes
from probe.server.single_flight import SingleFlight

Render = Callable[[str], tuple[bytes, str]]
"""From what a scrape accepts to the page and its content type."""

MAX_ON_DEMAND_PROBES = 8
"""Probes asked for over HTTP that run at once; a hanging endpoint holds one of them."""


def create_app(
    render: Render,
    targets: Callable[[], Mapping[str, OnDemandTarget]],
    history: History,
    lifecycle: Lifecycle,
    clock: Clock,
) -> Starlette:
    """The application: the page of metrics, pages for people, and probes asked for by name."""
    on_demand = OnDemandProbes(targets, clock.seconds, MAX_ON_DEMAND_PROBES)
    scrapes = SingleFlight[CachedResponse](1, fresh=0.0, now=clock.seconds)

    async def metrics(request: Request) -> Response:
        accepted, in_gzip = (
            negotiate_content_type(request.headers.get("accept", "")),
            accepts_gzip(request.headers),
        )

        def scrape() -> CachedResponse:
            page, content_type = render(accepted)
            return encode(Response(page, headers={"Content-Type": content_type}), in_gzip=in_gzip)

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
        return JSONResponse({**result_json(result), "cached": cached})

    app = Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/probe", probe),
            *page_routes(history, targets, lifecycle.standstill, clock),
            *lifecycle_routes(lifecycle),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Compression),
        ],
        exception_handlers={HTTPException: _error},
    )
    app.router.redirect_slashes = False  # it would redirect to whatever host a client names
    return app


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_response(request.url.path, _words(error), error.status_code, error.headers)


def _words(error: HTTPException) -> str:
    """Our own, or in the place of Starlette's, which are no more than the name of the status."""
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and error.headers:
        methods = " and ".join(sorted(error.headers["Allow"].split(", ")))
        return f"not with this method; {methods} are allowed here"
    if error.detail == HTTPStatus.NOT_FOUND.phrase:
        return "nothing is here; there are /, /metrics, /probe?name=NAME and /api/v1/probes"
    return error.detail
