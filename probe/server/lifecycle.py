"""What orchestrators and preStop hooks ask of the daemon: how it is, and to reload or to pause."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

import anyio
import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from probe.errors import ReloadRejected

HEARTBEAT_WAIT_SECONDS = 1.0
"""Seconds that the scheduler gets to show itself: after a SIGCONT this may be asked before it."""

_METHODS = ["POST", "PUT"]  # as Prometheus takes for its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The daemon's handles. `enabled` is for those that change something."""

    enabled: bool
    ticking: Callable[[], bool]
    reload: Callable[[], str]
    """Takes its time; says what it changed, or raises Refused. Never at the same time twice."""
    pause: Callable[[], None]
    resume: Callable[[], None]
    paused: Callable[[], bool]
    stopping: Callable[[], bool]

    def standstill(self) -> str | None:
        """Why no probe is started at present, for whoever reads the pages."""
        if self.stopping():
            return "Stopping: no probe is started any more."
        if self.paused():
            return "Paused: no probe is started until POST /-/resume."
        return None if self.ticking() else "The scheduler has stopped ticking: no probe runs."


def lifecycle_routes(lifecycle: Lifecycle) -> list[Route]:
    one_at_a_time = anyio.CapacityLimiter(1)

    async def healthy(_: Request) -> Response:
        """Whether ticks come due; whether they succeed is the model's health, not ours."""
        if not lifecycle.ticking():
            await anyio.sleep(HEARTBEAT_WAIT_SECONDS)
        if lifecycle.ticking():
            return _said("inference-probe is healthy")
        words = "the scheduler has stopped ticking: no probe runs; restart it, and report its log"
        return _said(words, HTTPStatus.SERVICE_UNAVAILABLE)

    async def reload() -> Response:
        try:
            return _said(await anyio.to_thread.run_sync(lifecycle.reload, limiter=one_at_a_time))
        except ReloadRejected as error:
            return _said(f"nothing has changed:\n{error}", HTTPStatus.INTERNAL_SERVER_ERROR)

    async def pause() -> Response:
        lifecycle.pause()
        return _said("paused: no probe is started until POST /-/resume")

    async def resume() -> Response:
        lifecycle.resume()
        return _said("running")

    def guarded(act: Callable[[], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            if not lifecycle.enabled:
                words = "not enabled: run with --web.enable-lifecycle"
                raise HTTPException(HTTPStatus.FORBIDDEN, words)
            _refuse_browsers(request)
            if lifecycle.stopping():
                return _said("inference-probe is stopping", HTTPStatus.SERVICE_UNAVAILABLE)
            return await act()

        return handle

    return [
        Route("/-/healthy", healthy),
        Route("/-/ready", _ready),
        *(
            Route(f"/-/{act.__name__}", guarded(act), methods=_METHODS)
            for act in (reload, pause, resume)
        ),
    ]


async def _ready(_: Request) -> Response:
    """Whoever can read this has a valid config: the daemon listens only after it is loaded.

    It says nothing of the model, so that a readiness probe on this sidecar cannot take a healthy
    model out of service.
    """
    return _said("inference-probe is ready")


def _refuse_browsers(request: Request) -> None:
    """No page of ours posts, so whatever a browser posts for a page comes from another site.

    Its `Origin` may be our own name all the same: a site can have its name resolve to our address.
    """
    asked_by = request.headers.get("sec-fetch-site", "none")
    if "origin" in request.headers or asked_by != "none":
        words = "refused: asked for by a page in a browser; use curl -X POST"
        raise HTTPException(HTTPStatus.FORBIDDEN, words)


def _said(words: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return PlainTextResponse(f"{words}\n", status)
