"""Tests of config/examples/ against fake model servers."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from probe.clock import Clock
from probe.config.loader import load
from probe.daemon.prober_factory import ProberFactory
from probe.resources import resource_path
from probe.result import Reason, Result
from tests import fake_model_servers
from tests.commands import invoke
from tests.fake_model_servers import (
    Response,
    Server,
    embeddings,
    ollama_body,
    openai_error,
    sse,
)

EXAMPLES = resource_path("config/examples")
MAX_LINE_CHARS, MAX_LINES = 100, 40

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


CASES = (
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
            ("}/v1/models/iris", "}/v1/models/rose", Reason.HTTP_4XX),
            ("instances:", "instance:", Reason.HTTP_4XX),
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
            ("}/v2/models/iris", "}/v2/models/rose", Reason.HTTP_4XX),
            ("shape: [1, 4]", "shape: [1, 3]", Reason.HTTP_4XX),
            ("id: inference-probe", "key: inference-probe", Reason.ASSERTION),
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
            ("}/v1/models/iris", "}/v1/models/rose", Reason.HTTP_4XX),
            ("instances:", "instance:", Reason.HTTP_4XX),
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
            ("}/invocations", "}/predict", Reason.HTTP_4XX),
            ("dataframe_split:", "dataframe:", Reason.HTTP_4XX),
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
            ("predictions/reviews", "predictions/revues", Reason.HTTP_4XX),
            ("Bearer ${file:torchserve.key}", "Bearer stale", Reason.HTTP_4XX),
            ("body: What a lovely day", 'body: ""', Reason.OVERLOADED),
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
            ("messages:", "message:", Reason.HTTP_4XX),
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
        file="openai-chat-stream.yml",
        server=fake_model_servers.openai_chat_stream,
        mistakes=(
            ("model: ${env:CHAT_MODEL}\n", "model: gone\n", Reason.HTTP_4XX),
            ("Bearer ${env:CHAT_KEY}", "Bearer wrong", Reason.HTTP_401_403),
            ("stream: true", "stream: false", Reason.ASSERTION),
            ("include_usage: true", "include_usage: false", Reason.ASSERTION),
            ("delta.content", "message.content", Reason.EMPTY),
        ),
        faults=(
            (Response(503, openai_error(503, "Unavailable", OVERLOADED)), Reason.OVERLOADED),
            (
                Response(200, sse(openai_error(400, "BadRequestError", "too long"), "[DONE]")),
                Reason.STREAM_ERROR,
            ),
            (Response(200, sse({"choices": [{"delta": {"content": "Y"}}]})), Reason.TRUNCATED),
        ),
        wrong_bodies=(
            sse({"choices": [{"delta": {"content": "Y"}, "finish_reason": "content_filter"}]}),
            sse({"choices": [{"delta": {"content": "Y"}, "finish_reason": "stop"}]}),
        ),
    ),
    Case(
        file="openai-embeddings.yml",
        server=fake_model_servers.openai_embeddings,
        mistakes=(
            ("model: ${env:EMBED_MODEL}\n", "model: gone\n", Reason.HTTP_4XX),
            ("input:", "inputs:", Reason.HTTP_4XX),
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
        file="ollama.yml",
        server=fake_model_servers.ollama,
        mistakes=(
            ("model: ${env:OLLAMA_MODEL}\n", "model: gone\n", Reason.HTTP_4XX),
            ("stream: false", 'stream: "no"', Reason.HTTP_4XX),
            ("stream: false", "stream: true", Reason.ASSERTION),
            ("messages:", "message:", Reason.ASSERTION),
        ),
        faults=(
            (
                Response(503, {"error": "server busy, maximum pending requests exceeded"}),
                Reason.OVERLOADED,
            ),
            (Response(500, {"error": "llama runner process has terminated"}), Reason.HTTP_5XX),
        ),
        wrong_bodies=(
            {"error": "an error was encountered while running the model"},
            ollama_body("", done_reason="length"),
            ollama_body("GGGG", done_reason="length"),
            ollama_body("Yes", done_reason="load"),
        ),
        times={"load": 0.0015, "compute": 0.0085, "total": 0.012},
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

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)


def environment(url: str) -> dict[str, str]:
    """Return the environment variables of all examples, with `url` as the URL of each server."""
    names = re.findall(r"\$\{env:(\w+)\}", "".join(path.read_text() for path in files()))
    values = {
        "URL": url,
        "MODEL": fake_model_servers.MODEL,
        "KEY": fake_model_servers.KEY,
    }
    variables = {name: values[name.rpartition("_")[2]] for name in names}
    return {**variables, "HEALTH_URL": f"{url}/health"}


def files() -> list[Path]:
    return sorted(EXAMPLES.glob("*.yml"))


def write_config(directory: Path, case: Case, old: str = "", new: str = "") -> Path:
    """Copy the file of a case and its key file, with `old` replaced by `new`."""
    text = (EXAMPLES / case.file).read_text()
    assert old in text
    (directory / "torchserve.key").write_text(f"{fake_model_servers.KEY}\n")
    config = directory / case.file
    config.write_text(text.replace(old, new, 1) if old else text)
    return config


def run_probe(config: Path, server: Server) -> Result:
    """Run the probe of `config` against `server`, as the daemon does."""
    with fake_model_servers.serving(server) as url:
        environ = environment(url)
        settings = load(config, environ=environ)
        factory = ProberFactory(environ=environ, base=config.parent, clock=Clock())
        (name,) = (probe.name for probe in settings.probes)
        try:
            return factory.build(settings, [name])[name].prober.run()
        finally:
            factory.close()


def reason(result: Result) -> Reason | None:
    return result.failure.reason if result.failure else None


@each
def test_no_advice(case: Case, tmp_path: Path) -> None:
    """`check --strict` accepts the unchanged file."""
    config = write_config(tmp_path, case)
    environ = environment("http://model:8000")
    done = invoke("check", "--strict", f"--config.file={config}", environ=environ)
    assert done.returncode == 0, done.stdout + done.stderr


@each
def test_success(case: Case, tmp_path: Path) -> None:
    """`once` succeeds with the unchanged file, and shows the server-reported times."""
    config = write_config(tmp_path, case)
    with fake_model_servers.serving(case.server) as url:
        arguments = (f"--config.file={config}", "--output=json")
        done = invoke("once", *arguments, environ=environment(url))
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = json.loads(done.stdout)
    assert (result["success"], result["status"]) == (True, 200)
    assert result["server"] == pytest.approx(case.times)


@pytest.mark.parametrize(
    ("case", "old", "new", "expected"),
    [
        pytest.param(case, *mistake, id=f"{case.file} {mistake[1]}")
        for case in CASES
        for mistake in case.mistakes
    ],
)
def test_mistakes(case: Case, old: str, new: str, expected: Reason, tmp_path: Path) -> None:
    """A wrong model name, input or key in the config gives the expected reason."""
    result = run_probe(write_config(tmp_path, case, old, new), case.server)
    assert reason(result) is expected, result.failure


@pytest.mark.parametrize(
    ("case", "response", "expected"),
    [
        pytest.param(case, *fault, id=f"{case.file} {number} {fault[0].status}")
        for case in CASES
        for number, fault in enumerate(case.faults)
    ],
)
def test_faults(case: Case, response: Response, expected: Reason, tmp_path: Path) -> None:
    """An error status of the server gives the expected reason."""
    result = run_probe(write_config(tmp_path, case), lambda _: response)
    assert reason(result) is expected, result.failure


@pytest.mark.parametrize(
    ("case", "body"),
    [
        pytest.param(case, body, id=f"{case.file} {number}")
        for case in CASES
        for number, body in enumerate(case.wrong_bodies)
    ],
)
def test_wrong_bodies(case: Case, body: Any, tmp_path: Path) -> None:
    """A body with a wrong content fails the probe in spite of the status 200."""
    result = run_probe(write_config(tmp_path, case), lambda _: Response(200, body))
    assert (reason(result), result.status) == (Reason.ASSERTION, 200), result.failure


def test_every_file_is_tested_and_in_the_table() -> None:
    """The directory, the table in its README and the cases here have the same files."""
    table = re.findall(r"\]\(([\w-]+\.yml)\)", (EXAMPLES / "README.md").read_text())
    assert sorted(table) == [path.name for path in files()] == sorted(case.file for case in CASES)


@each
def test_header_comment(case: Case) -> None:
    """The command at the top of a file has its name and all its environment variables."""
    text = (EXAMPLES / case.file).read_text()
    header = text[: text.index("\nprobes:")]
    assert f"--config.file={case.file}\n" in header + "\n"
    assert set(re.findall(r"([A-Z_]+)=", header)) == set(re.findall(r"\$\{env:(\w+)\}", text))


@each
def test_size(case: Case) -> None:
    """Each file fits on one screen."""
    lines = (EXAMPLES / case.file).read_text().splitlines()
    assert max(map(len, lines)) <= MAX_LINE_CHARS
    assert len(lines) <= MAX_LINES
