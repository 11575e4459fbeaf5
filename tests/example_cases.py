"""The files in config/examples/, each with a fake server and errors of this server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from probe.result import Reason, TokenCounts
from tests import fake_model_servers
from tests.fake_model_servers import Response, Server, embeddings, openai_error

NAN = float("nan")
OVERLOADED = "Model is overloaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An example file, its fake server, and errors with their expected reasons."""

    file: str
    server: Server
    mistakes: tuple[tuple[str, str, Reason], ...] = ()
    """Text in the file, its wrong replacement, and the expected reason."""
    faults: tuple[tuple[Response, Reason], ...] = ()
    """An error response of the server, and the expected reason."""
    wrong_bodies: tuple[Any, ...] = ()
    """Bodies with status 200 that must fail the probe."""
    times: Mapping[str, float] = field(default_factory=dict)
    """Expected server-reported times (seconds)."""
    tokens: TokenCounts | None = None
    """Expected numbers of tokens of a stream."""
    finish_reason: str | None = None
    """Expected finish reason of a stream."""


PREDICTIVE_CASES = (
    Case(
        file="json.yml",
        server=fake_model_servers.json_model,
        mistakes=(
            ("/predict", "/classify", Reason.HTTP_4XX),
            ("{data:", "{datas:", Reason.HTTP_4XX),
        ),
        faults=(
            (Response(500, "Internal Server Error"), Reason.HTTP_5XX),
            (Response(503, {"detail": OVERLOADED}), Reason.OVERLOADED),
        ),
        wrong_bodies=(
            {"error": "CUDA out of memory"},
            {"result": "negative", "confidence": 0.9},
            {"result": "positive", "confidence": 0.2},
            {"result": "positive", "confidence": NAN},
            "",
        ),
        times={"queue": 0.0015, "compute": 0.0085},
    ),
    Case(
        file="kserve-v1.yml",
        server=fake_model_servers.kserve_v1,
        mistakes=(
            ("model: iris\n", "model: rose\n", Reason.HTTP_4XX),
            ("[[5.1, 3.5, 1.4, 0.2]]", "iris", Reason.HTTP_4XX),
        ),
        faults=(
            (Response(503, {"error": "Model with name iris is not ready."}), Reason.OVERLOADED),
            (Response(503, "pending request queue full"), Reason.OVERLOADED),
            (Response(500, {"error": "expected 4 features"}), Reason.HTTP_5XX),
        ),
        wrong_bodies=(
            {"error": "failed"},
            {"predictions": []},
            {"predictions": [2]},
            {"predictions": [0, 0]},
            [0],
        ),
    ),
    Case(
        file="kserve-v2.yml",
        server=fake_model_servers.kserve_v2,
        mistakes=(
            ("model: iris\n", "model: rose\n", Reason.HTTP_4XX),
            ("shape: [1, 4]", "shape: [1, 3]", Reason.HTTP_4XX),
            ("model: iris\n", "model: iris\n        extra: {id: null}\n", Reason.ASSERTION),
        ),
        faults=((Response(503, {"error": "Exceeds maximum queue size"}), Reason.OVERLOADED),),
        wrong_bodies=(
            {"error": "failed"},
            {"id": "inference-probe", "outputs": []},
            {"id": "inference-probe", "outputs": [{"data": [1]}]},
            {"id": "inference-probe", "outputs": [{"data": [0, 0]}]},
            {"id": "other-request", "outputs": [{"data": [0]}]},
        ),
    ),
    Case(
        file="tf-serving.yml",
        server=fake_model_servers.tf_serving,
        mistakes=(
            ("model: iris\n", "model: rose\n", Reason.HTTP_4XX),
            ("[[5.1, 3.5, 1.4, 0.2]]", "iris", Reason.HTTP_4XX),
        ),
        faults=(
            (Response(503, {"error": "The batch scheduling queue is full"}), Reason.OVERLOADED),
            (Response(429, {"error": "exhausted"}), Reason.RATE_LIMITED),
            (Response(504, {"error": "deadline exceeded"}), Reason.HTTP_5XX),
        ),
        wrong_bodies=(
            {"error": "failed"},
            {"predictions": []},
            {"predictions": [[0.1, 0.8, 0.1]]},
            {"predictions": [[7.2, -1.1, 0.3]]},
            {"predictions": [[NAN, NAN, NAN]]},
        ),
    ),
    Case(
        file="mlflow.yml",
        server=fake_model_servers.mlflow,
        mistakes=(
            ("{env:MLFLOW_URL} #", "{env:MLFLOW_URL}/predict #", Reason.HTTP_4XX),
            ("[[5.1, 3.5, 1.4, 0.2]]", "[[5.1, 3.5, 1.4]]", Reason.HTTP_4XX),
        ),
        faults=((Response(504, "Request processing time exceeded limit"), Reason.HTTP_5XX),),
        wrong_bodies=(
            {"error_code": "BAD_REQUEST", "message": "failed"},
            {"predictions": []},
            {"predictions": [2]},
            {"predictions": [0, 0]},
            {"predictions": [NAN]},
        ),
    ),
    Case(
        file="torchserve.yml",
        server=fake_model_servers.torchserve,
        mistakes=(
            ("model: reviews\n", "model: revues\n", Reason.HTTP_4XX),
            ("Bearer ${file:torchserve.key}", "Bearer stale", Reason.HTTP_4XX),
            ("input: What a lovely day", 'input: ""', Reason.OVERLOADED),
        ),
        faults=(
            (
                Response(503, {"code": 503, "type": "ServiceUnavailableException"}),
                Reason.OVERLOADED,
            ),
            (Response(507, {"code": 507, "type": "OutOfMemoryError"}), Reason.HTTP_5XX),
        ),
        wrong_bodies=(
            {"code": 503, "type": "InternalServerException", "message": "Prediction failed"},
            {"Positive": 0.07, "Negative": 0.93},
            [],
        ),
    ),
    Case(
        file="openai-chat.yml",
        server=fake_model_servers.openai_chat,
        mistakes=(
            ("model: ${env:CHAT_MODEL}\n", "model: gone\n", Reason.HTTP_4XX),
            ("stream: false, ", "messages: [], ", Reason.HTTP_4XX),
            ("Bearer ${env:CHAT_KEY}", "Bearer wrong", Reason.HTTP_401_403),
        ),
        faults=(
            (Response(429, openai_error(429, "requests", "Rate limit")), Reason.RATE_LIMITED),
            (Response(503, openai_error(503, "Unavailable", OVERLOADED)), Reason.OVERLOADED),
            (Response(500, openai_error(500, "InternalServerError", "")), Reason.HTTP_5XX),
        ),
        wrong_bodies=(
            openai_error(404, "NotFoundError", "`gone` does not exist."),
            {"model": "toy", "choices": []},
            {"model": "toy", "choices": [{"message": {"content": None}}]},
            {"model": "toy", "choices": [{"message": {"content": "!!!!"}}]},
            {"model": "smaller", "choices": [{"message": {"content": "Yes"}}]},
        ),
        times={"queue": 0.0015, "compute": 0.0085},
    ),
    Case(
        file="openai-embeddings.yml",
        server=fake_model_servers.openai_embeddings,
        mistakes=(
            ("model: ${env:EMBED_MODEL}\n", "model: gone\n", Reason.HTTP_4XX),
            ("input: What a lovely day", 'input: ""', Reason.HTTP_4XX),
            ("Bearer ${env:EMBED_KEY}", "Bearer wrong", Reason.HTTP_401_403),
        ),
        faults=(
            (Response(429, openai_error(429, "overloaded", OVERLOADED)), Reason.RATE_LIMITED),
            (Response(503, openai_error(503, "unhealthy", OVERLOADED)), Reason.OVERLOADED),
        ),
        wrong_bodies=(
            openai_error(400, "BadRequestError", "failed"),
            {**embeddings(0.05, 384), "data": []},
            embeddings(0.05, 768),
            embeddings(0.0, 384),
            embeddings(None, 384),
            embeddings(NAN, 384),
            {**embeddings(0.05, 384), "model": "smaller"},
        ),
        times={"queue": 0.001, "preprocess": 0.002, "compute": 0.009},
    ),
    Case(
        file="health.yml",
        server=fake_model_servers.health,
        mistakes=(("{env:HEALTH_URL}", "{env:HEALTH_URL}/v2", Reason.HTTP_4XX),),
        faults=(
            (Response(503, ""), Reason.OVERLOADED),
            (Response(500, {"status": "Unhealthy"}), Reason.HTTP_5XX),
            (Response(204, ""), Reason.ASSERTION),
        ),
        wrong_bodies=("<!doctype html><title>Sign in</title>", "\n  <html></html>"),
    ),
)
