"""Responses of the protocols that are one JSON document, written from their documentation."""

import json
from typing import Any

import pytest

from probe.result import Reason, TokenCounts
from tests.http.conftest import Serve
from tests.probing import reason, run
from tests.raw_servers import always, http_response

PRICE = {"input": 1, "currency": "USD"}
TRITON_GENERATE: dict[str, Any] = {
    "protocol": {
        "triton-generate": {
            "model": "m",
            "prompt": "hi",
            "extra": {"parameters": {"stream": False}},
        }
    },
    "stream": None,
    "expect": {"json": {"$.text_output": {"matches": "."}}},
}
KEYS: dict[str, dict[str, Any]] = {
    "openai-embeddings": {"protocol": {"openai-embeddings": {"model": "m", "input": ["hi"]}}},
    "kserve-v1": {"protocol": {"kserve-v1": {"model": "m", "instances": [[1, 2]]}}},
    "kserve-v2": {
        "protocol": {
            "kserve-v2": {
                "model": "m",
                "inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}],
            }
        }
    },
    "tf-serving rows": {"protocol": {"tf-serving": {"model": "m", "instances": [1]}}},
    "tf-serving columns": {"protocol": {"tf-serving": {"model": "m", "inputs": {"x": [1]}}}},
    "mlflow": {"protocol": {"mlflow": {"dataframe_split": {"columns": ["x"], "data": [[1]]}}}},
    "torchserve": {"protocol": {"torchserve": {"model": "m", "input": "hi"}}},
    "rerank": {"protocol": {"rerank": {"model": "m", "query": "a", "documents": ["b", "c"]}}},
    "triton-generate": TRITON_GENERATE,
}

# Path and body of the request of each protocol.
REQUESTS: dict[str, tuple[str, Any]] = {
    "openai-embeddings": ("/v1/embeddings", {"model": "m", "input": ["hi"]}),
    "kserve-v1": ("/v1/models/m:predict", {"instances": [[1, 2]]}),
    "kserve-v2": (
        "/v2/models/m/infer",
        {
            "id": "inference-probe",
            "inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}],
        },
    ),
    "tf-serving rows": ("/v1/models/m:predict", {"instances": [1]}),
    "tf-serving columns": ("/v1/models/m:predict", {"inputs": {"x": [1]}}),
    "mlflow": ("/invocations", {"dataframe_split": {"columns": ["x"], "data": [[1]]}}),
    "torchserve": ("/predictions/m", "hi"),
    "rerank": ("/v1/rerank", {"model": "m", "query": "a", "documents": ["b", "c"]}),
    "triton-generate": (
        "/v2/models/m/generate",
        {"text_input": "hi", "parameters": {"max_tokens": 16, "stream": False}},
    ),
}


def embedding(*vector: Any) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": list(vector)}],
        "model": "m",
        "usage": {"prompt_tokens": 2, "total_tokens": 2},
    }


def infer(*data: Any, request: str = "inference-probe") -> dict[str, Any]:
    output = {"name": "y", "shape": [len(data)], "datatype": "FP32", "data": list(data)}
    return {"model_name": "m", "model_version": "1", "id": request, "outputs": [output]}


def openai_error(kind: str, code: Any) -> dict[str, Any]:
    return {"error": {"message": "sorry", "type": kind, "param": None, "code": code}}


SUCCESSES: tuple[tuple[str, Any], ...] = (
    ("openai-embeddings", embedding(0.0, -0.013)),
    ("kserve-v1", {"predictions": [0]}),
    ("kserve-v1", {"predictions": [{"label": "cat", "score": 0.9}]}),
    ("kserve-v1", {"predictions": [None]}),
    ("kserve-v2", infer(0.0)),
    ("kserve-v2", infer([0.1, 0.9])),
    ("kserve-v2", infer("cat")),
    ("tf-serving rows", {"predictions": [[0.1, 0.9]]}),
    ("tf-serving rows", {"predictions": [{"scores": [0.1], "classes": ["cat"]}]}),
    ("tf-serving columns", {"outputs": [[0.1, 0.9]]}),
    ("tf-serving columns", {"outputs": {"scores": [[0.1]], "classes": [["cat"]]}}),
    ("mlflow", {"predictions": [0]}),
    ("mlflow", {"predictions": [{"label": "cat"}]}),
    ("torchserve", {"cat": 0.9}),
    ("torchserve", "a text"),
    (
        "rerank",
        {
            "id": "rerank-1",
            "model": "m",
            "usage": {"total_tokens": 9},
            "results": [
                {"index": 1, "document": {"text": "c"}, "relevance_score": 0.9},
                {"index": 0, "document": {"text": "b"}, "relevance_score": 0.1},
            ],
        },
    ),
    (
        "rerank",
        {
            "results": [{"index": 0, "relevance_score": 0.99}],
            "id": "1",
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
        },
    ),
    ("triton-generate", {"model_name": "m", "model_version": "1", "text_output": "hello"}),
)

# Protocol, status, body and reason.
FAILURES: tuple[tuple[str, str, Any, Reason], ...] = (
    (
        "openai-embeddings",
        "401 Unauthorized",
        openai_error("invalid_request_error", "invalid_api_key"),
        Reason.HTTP_401_403,
    ),
    ("openai-embeddings", "404 Not Found", openai_error("NotFoundError", 404), Reason.HTTP_4XX),
    (
        "openai-embeddings",
        "429 Too Many Requests",
        {"error": "Model is overloaded", "error_type": "overloaded"},
        Reason.RATE_LIMITED,
    ),
    ("openai-embeddings", "200 OK", openai_error("server_error", None), Reason.ASSERTION),
    ("openai-embeddings", "200 OK", embedding(0, 0.0), Reason.ASSERTION),
    ("openai-embeddings", "200 OK", embedding(), Reason.ASSERTION),
    ("openai-embeddings", "200 OK", {"object": "list", "data": []}, Reason.ASSERTION),
    ("openai-embeddings", "200 OK", embedding(float("nan")), Reason.ASSERTION),
    (
        "kserve-v1",
        "404 Not Found",
        {"error": "Model with name m does not exist."},
        Reason.HTTP_4XX,
    ),
    (
        "kserve-v1",
        "503 Service Unavailable",
        {"error": "Model with name m is not ready."},
        Reason.OVERLOADED,
    ),
    (
        "kserve-v1",
        "500 Internal Server Error",
        {"error": "ValueError : 4 features"},
        Reason.HTTP_5XX,
    ),
    ("kserve-v1", "200 OK", {"error": "failed"}, Reason.ASSERTION),
    ("kserve-v1", "200 OK", {"predictions": []}, Reason.ASSERTION),
    ("kserve-v2", "400 Bad Request", {"error": "unexpected shape for input 'x'"}, Reason.HTTP_4XX),
    (
        "kserve-v2",
        "503 Service Unavailable",
        {"error": "Exceeds maximum queue size"},
        Reason.OVERLOADED,
    ),
    ("kserve-v2", "200 OK", {"error": "failed"}, Reason.ASSERTION),
    ("kserve-v2", "200 OK", infer(0.0, request="another"), Reason.ASSERTION),
    ("kserve-v2", "200 OK", infer(), Reason.ASSERTION),
    (
        "tf-serving rows",
        "404 Not Found",
        {"error": "Servable not found for request: Latest(m)"},
        Reason.HTTP_4XX,
    ),
    (
        "tf-serving rows",
        "503 Service Unavailable",
        {"error": "The batch scheduling queue is full"},
        Reason.OVERLOADED,
    ),
    ("tf-serving rows", "200 OK", {"predictions": []}, Reason.ASSERTION),
    ("tf-serving rows", "200 OK", {"predictions": [float("nan")]}, Reason.ASSERTION),
    ("tf-serving columns", "200 OK", {"predictions": [1]}, Reason.ASSERTION),
    (
        "mlflow",
        "400 Bad Request",
        {"error_code": "BAD_REQUEST", "message": "Failed to predict data"},
        Reason.HTTP_4XX,
    ),
    ("mlflow", "504 Gateway Timeout", "Request processing time exceeded", Reason.HTTP_5XX),
    ("mlflow", "200 OK", {"error_code": "BAD_REQUEST", "message": "failed"}, Reason.ASSERTION),
    (
        "torchserve",
        "404 Not Found",
        {"code": 404, "type": "ModelNotFoundException", "message": "Model not found: m"},
        Reason.HTTP_4XX,
    ),
    (
        "torchserve",
        "503 Service Unavailable",
        {"code": 503, "type": "InternalServerException", "message": "Prediction failed"},
        Reason.OVERLOADED,
    ),
    (
        "torchserve",
        "507 Insufficient Storage",
        {"code": 507, "type": "OutOfMemoryError", "message": "Out of memory"},
        Reason.HTTP_5XX,
    ),
    ("rerank", "401 Unauthorized", {"message": "invalid api token"}, Reason.HTTP_401_403),
    (
        "rerank",
        "400 Bad Request",
        openai_error("BadRequestError", 400),
        Reason.HTTP_4XX,
    ),
    ("rerank", "200 OK", {"results": []}, Reason.ASSERTION),
    ("rerank", "200 OK", {"message": "internal server error"}, Reason.ASSERTION),
    (
        "triton-generate",
        "400 Bad Request",
        {"error": "Request for unknown model: 'm' is not found"},
        Reason.HTTP_4XX,
    ),
    ("triton-generate", "503 Service Unavailable", {"error": "unavailable"}, Reason.OVERLOADED),
    ("triton-generate", "200 OK", {"error": "out of memory"}, Reason.ASSERTION),
    ("triton-generate", "200 OK", {"model_name": "m", "text_output": ""}, Reason.ASSERTION),
)


def response(body: Any, status: str = "200 OK") -> bytes:
    """Return the bytes of a response; text is no JSON."""
    if isinstance(body, str):
        return http_response(body.encode(), "Content-Type: text/plain", status=status)
    content = json.dumps(body).encode()
    return http_response(content, "Content-Type: application/json", status=status)


def path(name: str) -> str:
    """Return the path of the configured URL: the other endpoint of Triton must be written."""
    return REQUESTS[name][0] if name == "triton-generate" else ""


@pytest.mark.parametrize(
    ("name", "body"), SUCCESSES, ids=[f"{i} {case[0]}" for i, case in enumerate(SUCCESSES)]
)
def test_success(serve: Serve, name: str, body: Any) -> None:
    """Documented responses pass, and the request is the documented one."""
    server = serve(always(response(body)))
    result = run(server.url(path(name)), **KEYS[name])

    assert result.failure is None
    assert result.stream is None
    (request,) = server.requests
    expected_path, expected_body = REQUESTS[name]
    assert request.line == f"POST {expected_path} HTTP/1.1"
    text = request.body.decode()
    assert (text if isinstance(expected_body, str) else json.loads(text)) == expected_body


@pytest.mark.parametrize(
    ("name", "status", "body", "expected"),
    FAILURES,
    ids=[f"{i} {case[0]} {case[1]}" for i, case in enumerate(FAILURES)],
)
def test_failure(serve: Serve, name: str, status: str, body: Any, expected: Reason) -> None:
    """Documented errors, and responses without a result, have their reason."""
    result = run(serve(always(response(body, status))).url(path(name)), **KEYS[name])

    assert reason(result) is expected, result.failure


def test_an_error_of_triton_before_its_stream(serve: Serve) -> None:
    """The first error of `generate_stream` is a document with a status."""
    server = serve(always(response({"error": "unknown model"}, "400 Bad Request")))
    protocol = {"triton-generate": {"model": "m", "prompt": "hi"}}

    assert reason(run(server.url(""), protocol=protocol)) is Reason.HTTP_4XX


@pytest.mark.parametrize("name", ["openai-embeddings", "rerank"])
def test_tokens(serve: Serve, name: str) -> None:
    """Tokens without an output, or only their total, are those of the input."""
    body = next(body for case, body in SUCCESSES if case == name)
    result = run(serve(always(response(body))).url(""), **KEYS[name], price=PRICE)

    expected = {"openai-embeddings": 2, "rerank": 9}
    assert result.usage == TokenCounts(input=expected[name], output=0)
