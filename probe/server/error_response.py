"""How a request is refused: in words, and as JSON where the answers are JSON."""

from collections.abc import Mapping

from starlette.responses import JSONResponse, PlainTextResponse, Response

API_PREFIX = "/api/"


def error_response(
    path: str, words: str, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    if path.startswith(API_PREFIX):
        return JSONResponse({"error": words}, status, headers)
    return PlainTextResponse(f"{words}\n", status, headers)
