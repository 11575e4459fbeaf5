"""Endpoints for operators and orchestrators: state, health, reload, pause and resume."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from probe import __version__
from probe.clock import rfc3339
from probe.metrics.daemon_info import ConfigState
from probe.server.worker_threads import WorkerThreads

# After SIGCONT the health check may run before the scheduler's first heartbeat.
HEARTBEAT_WAIT_SECONDS = 1.0

_METHODS = ["POST", "PUT"]  # as in Prometheus

_Action = Callable[[], Awaitable[Response]]


class ReloadRejected(Exception):
    """A reload changed nothing. The message says why, for users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The state and the actions of the daemon that the endpoints use."""

    enabled: bool
    """Whether reload, pause and resume are allowed."""
    scheduler_alive: Callable[[], bool]
    reload: Callable[[], str]
    """Returns what changed, or raises ReloadRejected. May take long; one call at a time."""
    pause: Callable[[], None]
    resume: Callable[[], None]
    paused: Callable[[], bool]
    stopping: Callable[[], bool]
    config_state: Callable[[], ConfigState]
    """Returns when the config in effect was loaded, and whether the last reload succeeded."""

    def not_running_reason(self) -> str | None:
        """Return why no probes are started at present; None if they are."""
        if self.stopping():
            return "Stopping: no more probes are started."
        if self.paused():
            return "Paused: no scheduled probes are started until `inference-probe resume`."
        return None if self.scheduler_alive() else "The scheduler has stopped: no probes run."


def lifecycle_routes(lifecycle: Lifecycle) -> list[Route]:
    """Return the routes under `/-/`, and the one with the state of the daemon."""

    async def status(_: Request) -> Response:
        return JSONResponse(status_json(lifecycle), headers={"Cache-Control": "no-store"})

    async def healthy(_: Request) -> Response:
        """Report whether the scheduler runs. Failing probes do not make the daemon unhealthy."""
        if not lifecycle.scheduler_alive():
            await asyncio.sleep(HEARTBEAT_WAIT_SECONDS)
        if lifecycle.scheduler_alive():
            return _text("inference-probe is healthy")
        message = "the scheduler has stopped: no probes run; restart it, and report its log"
        return _text(message, HTTPStatus.SERVICE_UNAVAILABLE)

    return [
        Route("/api/v1/status", status),
        Route("/-/healthy", healthy),
        Route("/-/ready", _ready),
        *(
            Route(f"/-/{name}", _guarded(lifecycle, action), methods=_METHODS)
            for name, action in _actions(lifecycle).items()
        ),
    ]


def _actions(lifecycle: Lifecycle) -> dict[str, _Action]:
    """Return the actions of operators by name."""
    reload_threads = WorkerThreads(1)

    async def reload() -> Response:
        try:
            # Shielded: the next reload waits for this one, even if its request is cancelled.
            return _text(await asyncio.shield(reload_threads.run(lifecycle.reload)))
        except ReloadRejected as error:
            return _text(
                f"reload failed, the previous config stays in effect:\n{error}",
                HTTPStatus.INTERNAL_SERVER_ERROR,
            )

    async def pause() -> Response:
        lifecycle.pause()
        return _text("paused: no scheduled probes are started until `inference-probe resume`")

    async def resume() -> Response:
        lifecycle.resume()
        return _text("resumed")

    return {"reload": reload, "pause": pause, "resume": resume}


def _guarded(lifecycle: Lifecycle, action: _Action) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of `action`, which rejects requests that may not cause it."""

    async def handle(request: Request) -> Response:
        if not lifecycle.enabled:
            message = "not enabled: run with --web.enable-lifecycle"
            raise HTTPException(HTTPStatus.FORBIDDEN, message)
        _reject_browsers(request)
        if lifecycle.stopping():
            return _text("inference-probe is stopping", HTTPStatus.SERVICE_UNAVAILABLE)
        return await action()

    return handle


def status_json(lifecycle: Lifecycle) -> dict[str, Any]:
    """Return the state of the daemon. The fields are a contract with users, see docs/api.md."""
    config = lifecycle.config_state()
    return {
        "version": __version__,
        "standstill": lifecycle.not_running_reason(),
        "config": {
            "loaded": rfc3339(config.loaded_at),
            "last_reload_successful": config.reload_successful,
        },
    }


async def _ready(_: Request) -> Response:
    """Report readiness: the daemon listens only after it has loaded a valid config.

    The model's state does not matter, so that a readiness check of a sidecar cannot take a healthy
    model out of service.
    """
    return _text("inference-probe is ready")


def _reject_browsers(request: Request) -> None:
    """Raise HTTPException if a page in a browser caused the request.

    Pages of this daemon send no such requests, so the page belongs to another site. `Origin` may
    still be this daemon's own: a site can let its name resolve to the daemon's address.
    """
    fetch_site = request.headers.get("sec-fetch-site", "none")
    if "origin" in request.headers or fetch_site != "none":
        message = "refused: requested by a page in a browser; use curl -X POST"
        raise HTTPException(HTTPStatus.FORBIDDEN, message)


def _text(message: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return PlainTextResponse(f"{message}\n", status)
