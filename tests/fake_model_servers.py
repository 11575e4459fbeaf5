"""Fake model servers that imitate the responses of the real ones.

Each serves one model. It accepts the requests that the real server accepts, and rejects others with
the same status code and the same structure of the body, as documentation and source code describe.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "test-key"
MODEL = "toy"
# Longer than any time that a server here reports about itself.
RESPONSE_DELAY_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a JSON object; empty if it is not one."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    def header(self, name: str) -> str | None:
        """Return the value of a header, whose name may have other upper-case letters."""
        return {key.lower(): value for key, value in self.headers.items()}.get(name.lower())

    @property
    def has_key(self) -> bool:
        return self.header("Authorization") == f"Bearer {KEY}"

    def is_post(self, path: str) -> bool:
        return (self.method, self.path) == ("POST", path)


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response. Text and bytes are sent unchanged, other bodies as JSON (also with NaN)."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Server = Callable[[Request], Response]


def json_model(request: Request) -> Response:
    """Imitate FastAPI with a pydantic model as its input."""
    if not request.is_post("/predict"):
        return Response(404, {"detail": "Not Found"})
    if not isinstance(request.json.get("data"), str):
        missing = {"type": "missing", "loc": ["body", "data"], "msg": "Field required"}
        return Response(422, {"detail": [missing]})
    timing = {"Server-Timing": "queue;dur=1.5, infer;dur=8.5"}
    return Response(200, {"result": "positive", "confidence": 0.98}, timing)


def kserve_v1(request: Request) -> Response:
    match = re.fullmatch(r"/v1/models/(.+):predict", request.path)
    if not match:
        return Response(404, {"detail": "Not Found"})
    if match[1] != "iris":
        return Response(404, {"error": f"Model with name {match[1]} does not exist."})
    instances = request.json.get("instances")
    if not isinstance(instances, list):
        return Response(400, {"error": 'Expected "instances" or "inputs" to be a list'})
    return Response(200, {"predictions": [0 for _ in instances]})


def kserve_v2(request: Request) -> Response:
    match = re.fullmatch(r"/v2/models/(.+)/infer", request.path)
    if not match:
        return Response(404, {"detail": "Not Found"})
    if match[1] != "iris":
        return Response(404, {"error": f"Model {match[1]} not found"})
    shape = [tensor.get("shape") for tensor in request.json.get("inputs", [])]
    if shape != [[1, 4]]:
        return Response(400, {"error": f"unexpected shape {shape}"})
    output = {"name": "predict", "shape": [1, 1], "datatype": "INT64", "data": [0]}
    body = {"model_name": "iris", "id": request.json.get("id", "made up"), "outputs": [output]}
    return Response(200, body)


def tf_serving(request: Request) -> Response:
    match = re.fullmatch(r"/v1/models/(.+):predict", request.path)
    if not match:
        return Response(404, {"error": f"Malformed request: {request.method} {request.path}"})
    if match[1] != "iris":
        return Response(404, {"error": f"Servable not found for request: Latest({match[1]})"})
    instances = request.json.get("instances")
    if not isinstance(instances, list):
        return Response(400, {"error": "Missing 'inputs' or 'instances' key"})
    return Response(200, {"predictions": [[0.97, 0.02, 0.01] for _ in instances]})


def mlflow(request: Request) -> Response:
    if not request.is_post("/invocations"):
        return Response(404, {"detail": "Not Found"})
    frame = request.json.get("dataframe_split")
    if not frame or any(len(row) != len(frame["columns"]) for row in frame["data"]):
        message = "Failed to enforce the schema of the data with the schema of the model"
        return Response(400, {"error_code": "BAD_REQUEST", "message": message})
    return Response(200, {"predictions": [0 for _ in frame["data"]]})


def torchserve(request: Request) -> Response:
    if not request.has_key:
        message = "Token Authorization failed. Token either incorrect, expired, or not provided"
        return _torchserve_error(400, "InvalidKeyException", message)
    match = re.fullmatch("/predictions/(.+)", request.path)
    if not match or match[1] != "reviews":
        return _torchserve_error(404, "ModelNotFoundException", "Model not found")
    if not request.body:
        return _torchserve_error(503, "InternalServerException", "Prediction failed")
    return Response(200, {"Positive": 0.93, "Negative": 0.07})


def _torchserve_error(code: int, kind: str, message: str) -> Response:
    return Response(code, {"code": code, "type": kind, "message": message})


def openai_chat(request: Request) -> Response:
    """Imitate vLLM with --enable-per-request-metrics."""
    error = _openai_error(request, "/v1/chat/completions", "messages")
    if error:
        return error
    message = {"role": "assistant", "content": "Yes"}
    body = {
        "object": "chat.completion",
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 21, "completion_tokens": 1, "total_tokens": 22},
        "metrics": {
            "time_to_first_token_ms": 8.5,
            "generation_time_ms": 0.0,
            "queue_time_ms": 1.5,
            "mean_itl_ms": None,
        },
    }
    return Response(200, body)


def sse(*events: Any) -> str:
    """Return server-sent events; text is sent unchanged, other data as JSON."""
    data = (event if isinstance(event, str) else json.dumps(event) for event in events)
    return "".join(f"data: {text}\n\n" for text in data)


def openai_embeddings(request: Request) -> Response:
    """Imitate Text Embeddings Inference, which reports its times in headers."""
    error = _openai_error(request, "/v1/embeddings", "input")
    if error:
        return error
    times = {"x-queue-time": "1", "x-tokenization-time": "2", "x-inference-time": "9"}
    return Response(200, embeddings(0.05, 384), times)


def embeddings(value: float | None, dimension: int) -> dict[str, Any]:
    data = {"object": "embedding", "index": 0, "embedding": [value] * dimension}
    return {"object": "list", "model": MODEL, "data": [data]}


def openai_error(code: int, kind: str, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _openai_error(request: Request, path: str, required_key: str) -> Response | None:
    """Return the error response for a request that the server rejects."""
    if not request.is_post(path):
        return Response(404, {"detail": "Not Found"})
    if not request.has_key:
        return Response(401, {"error": "Unauthorized"})
    model = request.json.get("model")
    if model != MODEL:
        return Response(404, openai_error(404, "NotFoundError", f"`{model}` does not exist."))
    if not request.json.get(required_key):
        message = f"{required_key}: Field required"
        return Response(400, openai_error(400, "BadRequestError", message))
    return None


def health(request: Request) -> Response:
    """Imitate the health check of vLLM: an empty body."""
    ready = (request.method, request.path) == ("GET", "/health")
    return Response(200, "") if ready else Response(404, {"detail": "Not Found"})


@contextmanager
def serving(server: Server) -> Iterator[str]:
    """Run a server and yield its URL (without a trailing slash)."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = dict(self.headers.items())
            time.sleep(RESPONSE_DELAY_SECONDS)
            response = server(
                Request(method=self.command, path=self.path, headers=headers, body=body)
            )
            self.send_response(response.status)
            self.send_header("Content-Length", str(len(response.content)))
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(response.content)

        do_GET = do_POST = respond  # noqa: N815  (names that http.server requires)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http_server.server_port}"
        finally:
            http_server.shutdown()
            thread.join(5)
