"""config/examples/ against servers that answer as the real ones do."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from probe.clock import Clock
from probe.config.loader import load
from probe.daemon.factory import ProberFactory
from probe.resources import resource_path
from probe.result import Reason, Result
from tests import fake_model_servers
from tests.commands import invoke
from tests.fake_model_servers import Answer, Server, embeddings, ollama_answer, openai_error

EXAMPLES = resource_path("config/examples")
COLUMNS, LINES = 100, 40

NAN = float("nan")
OVERLOADED = "Model is overloaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A file, the server that it is for, and what can go wrong between them."""

    file: str
    server: Server
    mistakes: tuple[tuple[str, str, Reason], ...] = ()
    """What is written wrongly in the file, how, and the reason of the failure."""
    faults: tuple[tuple[Answer, Reason], ...] = ()
    """What the server answers when it cannot do better."""
    wrong: tuple[Any, ...] = ()
    """Bodies that are no answer to the question, and come with status 200."""
    times: Mapping[str, float] = field(default_factory=dict)
    """Seconds that the server says of itself."""


CASES = (
    Case(
        file="json.yml",
        server=fake_model_servers.json_model,
        mistakes=(
            ("/predict", "/classify", Reason.HTTP_4XX),
            ("{text:", "{texts:", Reason.HTTP_4XX),
        ),
        faults=(
            (Answer(500, "Internal Server Error"), Reason.HTTP_5XX),
            (Answer(503, {"detail": OVERLOADED}), Reason.OVERLOADED),
        ),
        wrong=(
            {"error": "CUDA out of memory"},
            {"label": "negative", "score": 0.9},
            {"label": "positive", "score": 0.2},
            {"label": "positive", "score": NAN},
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
            (Answer(503, {"error": "Model with name iris is not ready."}), Reason.OVERLOADED),
            (Answer(503, "pending request queue full"), Reason.OVERLOADED),
            (Answer(500, {"error": "expected 4 features"}), Reason.HTTP_5XX),
        ),
        wrong=(
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
        faults=((Answer(503, {"error": "Exceeds maximum queue size"}), Reason.OVERLOADED),),
        wrong=(
            {"error": "failed"},
            {"id": "inference-probe", "outputs": []},
            {"id": "inference-probe", "outputs": [{"data": [1]}]},
            {"id": "inference-probe", "outputs": [{"data": [0, 0]}]},
            {"id": "somebody-else", "outputs": [{"data": [0]}]},
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
            (Answer(503, {"error": "The batch scheduling queue is full"}), Reason.OVERLOADED),
            (Answer(429, {"error": "exhausted"}), Reason.RATE_LIMITED),
            (Answer(504, {"error": "deadline exceeded"}), Reason.HTTP_5XX),
        ),
        wrong=(
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
        faults=((Answer(504, "Request processing time exceeded limit"), Reason.HTTP_5XX),),
        wrong=(
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
                Answer(503, {"code": 503, "type": "ServiceUnavailableException"}),
                Reason.OVERLOADED,
            ),
            (Answer(507, {"code": 507, "type": "OutOfMemoryError"}), Reason.HTTP_5XX),
        ),
        wrong=(
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
            (Answer(429, openai_error(429, "requests", "Rate limit")), Reason.RATE_LIMITED),
            (Answer(503, openai_error(503, "Unavailable", OVERLOADED)), Reason.OVERLOADED),
            (Answer(500, openai_error(500, "InternalServerError", "")), Reason.HTTP_5XX),
        ),
        wrong=(
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
            ("input:", "inputs:", Reason.HTTP_4XX),
            ("Bearer ${env:EMBED_KEY}", "Bearer wrong", Reason.HTTP_401_403),
        ),
        faults=(
            (Answer(429, openai_error(429, "overloaded", OVERLOADED)), Reason.RATE_LIMITED),
            (Answer(503, openai_error(503, "unhealthy", OVERLOADED)), Reason.OVERLOADED),
        ),
        wrong=(
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
                Answer(503, {"error": "server busy, maximum pending requests exceeded"}),
                Reason.OVERLOADED,
            ),
            (Answer(500, {"error": "llama runner process has terminated"}), Reason.HTTP_5XX),
        ),
        wrong=(
            {"error": "an error was encountered while running the model"},
            ollama_answer("", done_reason="length"),
            ollama_answer("GGGG", done_reason="length"),
            ollama_answer("Yes", done_reason="load"),
        ),
        times={"load": 0.0015, "compute": 0.0085, "total": 0.012},
    ),
    Case(
        file="health.yml",
        server=fake_model_servers.health,
        mistakes=(("{env:HEALTH_URL}", "{env:HEALTH_URL}/v2", Reason.HTTP_4XX),),
        faults=(
            (Answer(503, ""), Reason.OVERLOADED),
            (Answer(500, {"status": "Unhealthy"}), Reason.HTTP_5XX),
            (Answer(204, ""), Reason.ASSERTION),
        ),
        wrong=("<!doctype html><title>Sign in</title>", "\n  <html></html>"),
    ),
)

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)


def environment(url: str) -> dict[str, str]:
    """What the examples read from it; all of their URLs are those of one server."""
    names = re.findall(r"\$\{env:(\w+)\}", "".join(one.read_text() for one in files()))
    kinds = {
        "URL": url,
        "MODEL": fake_model_servers.MODEL,
        "KEY": fake_model_servers.KEY,
    }
    read = {name: kinds[name.rpartition("_")[2]] for name in names}
    return {**read, "HEALTH_URL": f"{url}/health"}


def files() -> list[Path]:
    return sorted(EXAMPLES.glob("*.yml"))


def written(directory: Path, case: Case, old: str = "", new: str = "") -> Path:
    """A copy of a case's file, with the key beside it, and something in it exchanged."""
    text = (EXAMPLES / case.file).read_text()
    assert old in text
    (directory / "torchserve.key").write_text(f"{fake_model_servers.KEY}\n")
    config = directory / case.file
    config.write_text(text.replace(old, new, 1) if old else text)
    return config


def probed(config: Path, server: Server) -> Result:
    """What comes of the config's probe, run as the daemon runs it."""
    with fake_model_servers.serving(server) as url:
        environ = environment(url)
        settings = load(config, environ=environ)
        factory = ProberFactory(environ=environ, base=config.parent, clock=Clock())
        (name,) = (probe.name for probe in settings.probes)
        return factory.build(settings, [name])[name].prober.run()


def reason(result: Result) -> Reason | None:
    return result.failure.reason if result.failure else None


@each
def test_no_advice(case: Case, tmp_path: Path) -> None:
    """`check --strict` has nothing to say against the file as it is."""
    config = written(tmp_path, case)
    environ = environment("http://model:8000")
    done = invoke("check", "--strict", f"--config.file={config}", environ=environ)
    assert done.returncode == 0, done.stdout + done.stderr


@each
def test_success(case: Case, tmp_path: Path) -> None:
    """`once` succeeds with the file as it is, and shows the times that the server tells."""
    config = written(tmp_path, case)
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
    """A model that is not there, bad input, a wrong key: the server refuses, and that is seen."""
    result = probed(written(tmp_path, case, old, new), case.server)
    assert reason(result) is expected, result.failure


@pytest.mark.parametrize(
    ("case", "answer", "expected"),
    [
        pytest.param(case, *fault, id=f"{case.file} {number} {fault[0].status}")
        for case in CASES
        for number, fault in enumerate(case.faults)
    ],
)
def test_faults(case: Case, answer: Answer, expected: Reason, tmp_path: Path) -> None:
    """A server that is overloaded or broken says so by its status, and the reason follows it."""
    result = probed(written(tmp_path, case), lambda _: answer)
    assert reason(result) is expected, result.failure


@pytest.mark.parametrize(
    ("case", "body"),
    [
        pytest.param(case, body, id=f"{case.file} {number}")
        for case in CASES
        for number, body in enumerate(case.wrong)
    ],
)
def test_wrong_answers(case: Case, body: Any, tmp_path: Path) -> None:
    """What is no answer to the question is a failure, whatever its status says."""
    result = probed(written(tmp_path, case), lambda _: Answer(200, body))
    assert (reason(result), result.status) == (Reason.ASSERTION, 200), result.failure


def test_every_file_is_tested_and_in_the_table() -> None:
    """The directory, the table of its README and the cases here are of the same files."""
    table = re.findall(r"\]\(([\w-]+\.yml)\)", (EXAMPLES / "README.md").read_text())
    assert sorted(table) == [one.name for one in files()] == sorted(case.file for case in CASES)


@each
def test_head(case: Case) -> None:
    """The command at the top names the file and all the variables that it reads."""
    text = (EXAMPLES / case.file).read_text()
    head = text[: text.index("\nprobes:")]
    assert f"--config.file={case.file}\n" in head + "\n"
    assert set(re.findall(r"([A-Z_]+)=", head)) == set(re.findall(r"\$\{env:(\w+)\}", text))


@each
def test_size(case: Case) -> None:
    """Each file can be read on one screen."""
    lines = (EXAMPLES / case.file).read_text().splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert len(lines) <= LINES
