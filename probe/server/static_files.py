"""Style, script and icon of the pages."""

import hashlib
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def static_routes(directory: Path) -> list[Route]:
    """Return a route under `/static/` for each file in `directory`.

    Starlette's StaticFiles reads files on threads of anyio, which needs 1 MB for them.
    """
    return [_route(file) for file in sorted(directory.iterdir()) if file.is_file()]


def _route(file: Path) -> Route:
    content = file.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag}
    media_type = _MEDIA_TYPES.get(file.suffix, "application/octet-stream")

    async def respond(request: Request) -> Response:
        known = ",".join(request.headers.getlist("if-none-match")).split(",")
        if tag in (known_tag.strip().removeprefix("W/") for known_tag in known):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(content, headers=headers, media_type=media_type)

    return Route(f"/static/{file.name}", respond)
