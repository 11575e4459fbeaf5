"""The ASGI application: metrics, on-demand probes, pages, API and lifecycle endpoints."""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from probe.server.cached_response import CachedResponse
from probe.server.compression import Compression, compress
from probe.server.headers import DefaultHeaders, security_headers
from probe.server.lifecycle import Lifecycle, lifecycle_routes
from probe.server.limits import error_response, unknown_probe_message
from probe.server.links import PageLink, TraceUrl, no_trace_url
from probe.server.on_demand import OnDemandProbes, OnDemandRefused, OnDemandTarget
from probe.server.routes import MAX_PAGE_AGE_SECONDS, page_routes
from probe.server.single_flight import SingleFlight

# From the content type to the body of a scrape, in parts, and its content type.
Render = Callable[[str], tuple[Iterable[str], str]]

# On-demand probes that run at the same time; a hanging endpoint occupies one of these slots.
MAX_ON_DEMAND_PROBES = 8

_PATHS = (
    "nothing is here; there are /, /metrics, /probe?name=NAME, /api/v1/probes, /-/healthy "
    "and /-/ready"
)


def create_app(
    render: Render,
    targets: Callable[[], Mapping[str, OnDemandTarget]],
    history: History,
    lifecycle: Lifecycle,
    clock: Clock,
    *,
    links: Sequence[PageLink] = (),
    trace_url: TraceUrl = no_trace_url,
    max_page_age_seconds: float = MAX_PAGE_AGE_SECONDS,
) -> Starlette:
    """Return the application. `render` produces a scrape, `targets` the current probes by name.

    The pages have `links`, and link to traces with `trace_url`.
    """
    scrapes = SingleFlight[CachedResponse](1, max_age_seconds=0.0, now=clock.monotonic_seconds)
    on_demand = OnDemandProbes(targets, clock.monotonic_seconds, MAX_ON_DEMAND_PROBES)
    app = Starlette(
        routes=[
            _metrics_route(render, scrapes),
            _on_demand_route(on_demand),
            *page_routes(
                history,
                targets,
                lifecycle,
                clock,
                scrapes,
                links=links,
                trace_url=trace_url,
                max_page_age_seconds=max_page_age_seconds,
            ),
            *lifecycle_routes(lifecycle),
        ],
        middleware=[
            Middleware(DefaultHeaders, headers=security_headers),
            Middleware(Compression),
        ],
        exception_handlers={HTTPException: _handle_http_exception},
    )
    # Starlette would redirect to the host that the client names in its `Host` header.
    app.router.redirect_slashes = False
    return app


def _metrics_route(render: Render, scrapes: SingleFlight[CachedResponse]) -> Route:
    async def metrics(request: Request) -> Response:
        accepted = negotiate_content_type(request.headers.get("accept", ""))

        def scrape() -> CachedResponse:
            parts, content_type = render(accepted)
            return CachedResponse(compress(parts), {"Content-Type": content_type})

        return (await scrapes.run(accepted, scrape)).response(request)

    return Route("/metrics", metrics)


def _on_demand_route(on_demand: OnDemandProbes) -> Route:
    async def probe(request: Request) -> Response:
        name = request.query_params.get("name")
        if name is None:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "which probe? write /probe?name=NAME")
        requested = on_demand.get(name)
        if requested is None:
            message = unknown_probe_message(name, on_demand.names())
            raise HTTPException(HTTPStatus.NOT_FOUND, message)
        try:
            result, cached = await requested.run_or_cached()
        except OnDemandRefused as error:
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, str(error)) from None
        return JSONResponse({**result_json(result), "cached": cached})

    return Route("/probe", probe)


async def _handle_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_response(request.url.path, _message(error), error.status_code, error.headers)


def _message(error: HTTPException) -> str:
    """Return the message of `error`, or a better one than Starlette's name of the status."""
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and error.headers:
        methods = " and ".join(sorted(error.headers["Allow"].split(", ")))
        return f"not with this method; {methods} are allowed here"
    if error.detail == HTTPStatus.NOT_FOUND.phrase:
        return _PATHS
    return error.detail
