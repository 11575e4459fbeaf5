"""Model servers that answer as the real ones do, as far as their documentation and sources say.

Each serves one model, takes the requests that the real one takes, and refuses the others in the
same words' shape and with the same status.
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
THINKING = 0.02
"""Seconds from a request to its answer: more than any server here says that it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """An empty object for what is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def has_key(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {KEY}"

    def is_post(self, path: str) -> bool:
        return (self.method, self.path) == ("POST", path)


@dataclass(frozen=True, slots=True)
class Answer:
    """Text is sent as it is, all else as JSON (with NaN, as Python and TensorFlow write it)."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


Server = Callable[[Request], Answer]


def json_model(request: Request) -> Answer:
    """FastAPI with a pydantic model for its input."""
    if not request.is_post("/predict"):
        return Answer(404, {"detail": "Not Found"})
    if not isinstance(request.json.get("text"), str):
        missing = {"type": "missing", "loc": ["body", "text"], "msg": "Field required"}
        return Answer(422, {"detail": [missing]})
    timing = {"Server-Timing": "queue;dur=1.5, infer;dur=8.5"}
    return Answer(200, {"label": "positive", "score": 0.98}, timing)


def kserve_v1(request: Request) -> Answer:
    found = re.fullmatch(r"/v1/models/(.+):predict", request.path)
    if not found:
        return Answer(404, {"detail": "Not Found"})
    if found[1] != "iris":
        return Answer(404, {"error": f"Model with name {found[1]} does not exist."})
    instances = request.json.get("instances")
    if not isinstance(instances, list):
        return Answer(400, {"error": 'Expected "instances" or "inputs" to be a list'})
    return Answer(200, {"predictions": [0 for _ in instances]})


def kserve_v2(request: Request) -> Answer:
    found = re.fullmatch(r"/v2/models/(.+)/infer", request.path)
    if not found:
        return Answer(404, {"detail": "Not Found"})
    if found[1] != "iris":
        return Answer(404, {"error": f"Model {found[1]} not found"})
    shape = [one.get("shape") for one in request.json.get("inputs", [])]
    if shape != [[1, 4]]:
        return Answer(400, {"error": f"unexpected shape {shape}"})
    output = {"name": "predict", "shape": [1, 1], "datatype": "INT64", "data": [0]}
    answer = {"model_name": "iris", "id": request.json.get("id", "made up"), "outputs": [output]}
    return Answer(200, answer)


def tf_serving(request: Request) -> Answer:
    found = re.fullmatch(r"/v1/models/(.+):predict", request.path)
    if not found:
        return Answer(404, {"error": f"Malformed request: {request.method} {request.path}"})
    if found[1] != "iris":
        return Answer(404, {"error": f"Servable not found for request: Latest({found[1]})"})
    instances = request.json.get("instances")
    if not isinstance(instances, list):
        return Answer(400, {"error": "Missing 'inputs' or 'instances' key"})
    return Answer(200, {"predictions": [[0.97, 0.02, 0.01] for _ in instances]})


def mlflow(request: Request) -> Answer:
    if not request.is_post("/invocations"):
        return Answer(404, {"detail": "Not Found"})
    frame = request.json.get("dataframe_split")
    if not frame:
        words = "The input must be a JSON dictionary with exactly one of the input fields"
        return Answer(400, {"error_code": "BAD_REQUEST", "message": words})
    return Answer(200, {"predictions": [0 for _ in frame["data"]]})


def torchserve(request: Request) -> Answer:
    if not request.has_key:
        words = "Token Authorization failed. Token either incorrect, expired, or not provided"
        return _torchserve_error(400, "InvalidKeyException", words)
    found = re.fullmatch("/predictions/(.+)", request.path)
    if not found or found[1] != "reviews":
        return _torchserve_error(404, "ModelNotFoundException", "Model not found")
    if not request.body:
        return _torchserve_error(503, "InternalServerException", "Prediction failed")
    return Answer(200, {"Positive": 0.93, "Negative": 0.07})


def _torchserve_error(code: int, kind: str, message: str) -> Answer:
    return Answer(code, {"code": code, "type": kind, "message": message})


def openai_chat(request: Request) -> Answer:
    """vLLM, started with --enable-per-request-metrics."""
    refusal = _openai_refusal(request, "/v1/chat/completions", "messages")
    if refusal:
        return refusal
    message = {"role": "assistant", "content": "Yes"}
    answer = {
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
    return Answer(200, answer)


def openai_embeddings(request: Request) -> Answer:
    """Text Embeddings Inference, whose times are in headers."""
    refusal = _openai_refusal(request, "/v1/embeddings", "input")
    if refusal:
        return refusal
    times = {"x-queue-time": "1", "x-tokenization-time": "2", "x-inference-time": "9"}
    return Answer(200, embeddings(0.05, 384), times)


def embeddings(value: float | None, dimension: int) -> dict[str, Any]:
    data = {"object": "embedding", "index": 0, "embedding": [value] * dimension}
    return {"object": "list", "model": MODEL, "data": [data]}


def openai_error(code: int, kind: str, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _openai_refusal(request: Request, path: str, needed: str) -> Answer | None:
    if not request.is_post(path):
        return Answer(404, {"detail": "Not Found"})
    if not request.has_key:
        return Answer(401, {"error": "Unauthorized"})
    model = request.json.get("model")
    if model != MODEL:
        return Answer(404, openai_error(404, "NotFoundError", f"`{model}` does not exist."))
    if not request.json.get(needed):
        return Answer(400, openai_error(400, "BadRequestError", f"{needed}: Field required"))
    return None


def ollama(request: Request) -> Answer:
    asked = request.json
    if not request.is_post("/api/chat"):
        return Answer(404, "404 page not found")
    if not isinstance(asked.get("stream", True), bool):
        return Answer(400, {"error": "json: cannot unmarshal string into field stream of bool"})
    if asked.get("model") != MODEL:
        return Answer(404, {"error": f"model '{asked.get('model')}' not found"})
    if not asked.get("messages"):
        return Answer(200, ollama_answer("", done_reason="load"))
    if asked.get("stream", True):
        lines = [{**ollama_answer("Yes"), "done": False}, ollama_answer("", done_reason="length")]
        return Answer(200, "\n".join(map(json.dumps, lines)))
    times = {
        "total_duration": 12_000_000,
        "load_duration": 1_500_000,
        "prompt_eval_duration": 6_500_000,
        "eval_duration": 2_000_000,
    }
    return Answer(200, {**ollama_answer("Yes", done_reason="length"), **times})


def ollama_answer(content: str, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {"model": MODEL, "message": message, "done": True, **more}


def health(request: Request) -> Answer:
    """vLLM's: an empty body."""
    ready = (request.method, request.path) == ("GET", "/health")
    return Answer(200, "") if ready else Answer(404, {"detail": "Not Found"})


@contextmanager
def serving(server: Server) -> Iterator[str]:
    """The URL (without a slash at its end) of a server, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = dict(self.headers.items())
            time.sleep(THINKING)
            answer = server(
                Request(method=self.command, path=self.path, headers=headers, body=body)
            )
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.content)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = answer  # noqa: N815  (the names that http.server looks for)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join(5)
