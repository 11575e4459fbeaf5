"""The routes."""

import time
from collections.abc import Callable, Mapping
from html import escape
from http import HTTPStatus
from urllib.parse import quote

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from probe import __version__
from probe.web.ondemand import OnDemand, Target
from probe.web.report import report

Render = Callable[[str], tuple[bytes, str]]
"""From what a scrape accepts to the page and its content type."""

MOST_ON_DEMAND = 8
"""Probes asked for over HTTP that run at once; a hanging endpoint holds one of them."""


def create_app(render: Render, targets: Mapping[str, Target]) -> Starlette:
    """The application: the page of metrics, and probes that can be asked for by name."""
    limiter = anyio.CapacityLimiter(MOST_ON_DEMAND)
    asked = {name: OnDemand(target, time.monotonic, limiter) for name, target in targets.items()}

    def metrics(request: Request) -> Response:
        page, content_type = render(request.headers.get("accept", ""))
        return Response(page, headers={"Content-Type": content_type})

    async def probe(request: Request) -> Response:
        name = request.query_params.get("name")
        if name is None:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "which probe? write /probe?name=NAME")
        if name not in asked:
            known = ", ".join(sorted(asked))
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no probe {name!r}; there are: {known}")
        result, cached = await asked[name].ask()
        return JSONResponse({**report(result), "cached": cached})

    async def home(_: Request) -> Response:
        return HTMLResponse(_home(asked))

    return Starlette(
        routes=[
            Route("/", home),
            Route("/metrics", metrics),
            Route("/probe", probe),
            Route("/-/healthy", _healthy),
            Route("/-/ready", _ready),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=1000, compresslevel=1)],
        exception_handlers={HTTPException: _plain},
    )


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("inference-probe is healthy\n")


async def _ready(_: Request) -> Response:
    """Whoever can read this has a valid config: the daemon listens only after it is loaded.

    It says nothing of the model, so that a readiness probe on this sidecar cannot take a healthy
    model out of service.
    """
    return PlainTextResponse("inference-probe is ready\n")


async def _plain(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}\n", error.status_code, headers=error.headers)


def _home(names: Mapping[str, object]) -> str:
    probes = "".join(
        f'<li><a href="/probe?name={quote(name, safe="")}">{escape(name)}</a></li>'
        for name in names
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>inference-probe</title>
<h1>inference-probe {__version__}</h1>
<ul><li><a href="/metrics">metrics</a></li><li><a href="/-/healthy">healthy</a></li>
<li><a href="/-/ready">ready</a></li></ul>
<h2>Probe now</h2><p>At most one request of its own in each interval.</p><ul>{probes}</ul>
</html>
"""
