"""Streams of llama.cpp, whose own clock is compared with the probe's."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import pytest

from probe.prober import stream_reader
from probe.resources import resource_path
from probe.result import Reason, Result
from tests.commands import invoke
from tests.llm.llama_server import llama_server
from tests.llm.tiny_model import write_tiny_model
from tests.prober.test_streams import OPENAI
from tests.probing import reason, run

pytestmark = pytest.mark.timing

TOKENS = 24
RUNS = 5
ANTHROPIC: dict[str, Any] = {
    "content": "$.delta.text",
    "reasoning": "$.delta.thinking",
    "usage": {"input": "$.message.usage.input_tokens", "output": "$.usage.output_tokens"},
    "error": "$.error",
    "finish": "$.delta.stop_reason",
}
COMPLETIONS = {**OPENAI, "content": "$.choices[*].text"}
MESSAGES = [{"role": "user", "content": "ba de fi"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a model that takes some milliseconds for a token."""
    model: Path = tmp_path_factory.mktemp("llama") / "tiny.gguf"
    write_tiny_model(model, width=256, layers=6)
    with llama_server(model) as url:
        yield url


@pytest.fixture
def fast_server(tmp_path: Path) -> Iterator[str]:
    """Serve a model that responds so fast that its own variation hardly matters."""
    write_tiny_model(tmp_path / "fast.gguf")
    with llama_server(tmp_path / "fast.gguf") as url:
        yield url


def body(**keys: Any) -> dict[str, Any]:
    return {
        "model": "tiny",
        "max_tokens": TOKENS,
        "stream": True,
        "stream_options": {"include_usage": True},
        "cache_prompt": False,
        **keys,
    }


@pytest.mark.parametrize(
    ("path", "keys", "stream", "finish"),
    [
        ("/v1/chat/completions", {"messages": MESSAGES}, OPENAI, "length"),
        ("/v1/completions", {"prompt": "ba de fi"}, COMPLETIONS, "length"),
        ("/v1/messages", {"messages": MESSAGES}, ANTHROPIC, "max_tokens"),
    ],
    ids=["chat", "completions", "messages"],
)
def test_protocols(server: str, path: str, keys: Any, stream: Any, finish: str) -> None:
    """The server's usage and finish reason are found."""
    result = run(f"{server}{path}", json=body(**keys), stream=stream)

    assert result.failure is None
    assert result.stream
    assert result.stream.tokens.output == TOKENS
    assert result.stream.finish_reason == finish
    assert result.stream.time_per_output_token


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_usage_without_a_stream(server: str, path: str) -> None:
    """The numbers in the JSON are those of a stream, also if a part of the prompt was cached.

    Anthropic's format counts cached tokens separately.
    """
    price = {"input": 1, "currency": "USD"}
    for cache_prompt in (False, True):
        keys = body(messages=MESSAGES, stream=False, cache_prompt=cache_prompt)
        result = run(f"{server}{path}", json=keys, price=price)
        assert result.failure is None
        assert result.usage
        assert result.usage.output == TOKENS
        assert result.usage.input == chat(server).reported_tokens.input


@pytest.mark.parametrize(
    ("name", "finish"),
    [
        ("openai-chat", "length"),
        ("openai-completions", "length"),
        ("openai-responses", "completed"),
        ("anthropic-messages", "max_tokens"),
    ],
)
def test_protocol_key(server: str, name: str, finish: str) -> None:
    """A model and a prompt are enough."""
    extra = {"cache_prompt": False}
    fields = {"model": "tiny", "prompt": "ba de fi", "max_tokens": TOKENS, "extra": extra}
    result = run(server, protocol={name: fields})

    assert result.failure is None
    assert result.stream
    assert result.stream.tokens.output == TOKENS
    assert result.stream.finish_reason == finish
    assert result.stream.time_per_output_token


@pytest.mark.parametrize(
    "name", ["openai-chat", "openai-completions", "openai-responses", "anthropic-messages"]
)
def test_cached_tokens(server: str, name: str) -> None:
    """A repeated prompt has cached tokens, and as many input tokens as before.

    OpenAI's formats count cached tokens as a part of the input, and Anthropic's does not.
    """
    fields = {"model": "tiny", "prompt": "go ku la me " * 8, "max_tokens": 4, "nonce": False}
    first, second = (run(server, protocol={name: fields}).reported_tokens for _ in range(2))

    assert first.input
    assert second.cached
    assert second.input == first.input
    assert first.input // 2 < second.cached < first.input


def test_example(server: str) -> None:
    """The config in config/examples succeeds, and its prompt is computed again each time."""
    config = f"--config.file={resource_path('config/examples/llama-cpp.yml')}"
    environ = {"LLAMA_URL": server, "LLAMA_MODEL": "tiny", "LLAMA_KEY": "k"}
    for _ in range(2):
        done = invoke("once", config, "--output=json", environ=environ)
        (result,) = json.loads(done.stdout)
        assert result["success"], result
        tokens = result["stream"]["tokens"]
        assert (tokens["output"], tokens["cached"]) == (16, 0)


def test_embeddings(tmp_path: Path) -> None:
    """A model and a text are enough."""
    write_tiny_model(tmp_path / "embeddings.gguf")
    fields = {"model": "tiny", "input": "ba de fi"}
    price = {"input": 1, "currency": "USD"}
    with llama_server(tmp_path / "embeddings.gguf", embeddings=True) as url:
        result = run(url, protocol={"openai-embeddings": fields}, price=price)
        bad = run(url, protocol={"openai-embeddings": {**fields, "input": []}})

    assert result.failure is None
    assert result.usage
    assert result.usage.input
    assert result.usage.output == 0
    assert reason(bad) is Reason.HTTP_4XX


def test_a_prompt_that_is_too_long(server: str) -> None:
    """The server rejects it before the stream."""
    prompt = "ba " * 5000
    result = run(f"{server}/v1/completions", json=body(prompt=prompt), stream=COMPLETIONS)

    assert reason(result) is Reason.HTTP_4XX


def test_time_per_token_is_that_of_the_server(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They differ by at most 2 % or 0.1 ms."""
    events: list[Any] = []

    def parse(data: bytes) -> Any:
        events.append(json.loads(data))
        return events[-1]

    monkeypatch.setattr(stream_reader, "_parse", parse)
    differences = []
    for _ in range(RUNS):
        events.clear()
        measured = time_per_token(chat(server))
        (timings,) = [event["timings"] for event in events if "timings" in event]
        expected = timings["predicted_ms"] / (timings["predicted_n"] - 1) / 1000
        differences.append(abs(measured - expected) / max(0.0001, 0.02 * expected))
    assert median(differences) <= 1


def test_first_token_is_that_of_a_raw_socket(fast_server: str) -> None:
    """The medians of both differ by at most 1 ms."""
    probed, raw = [], []
    for _ in range(3 * RUNS):
        stream = chat(fast_server).stream
        assert stream
        assert stream.time_to_first_token
        probed.append(stream.time_to_first_token)
        raw.append(raw_first_token(fast_server))
    assert median(probed) == pytest.approx(median(raw), abs=0.001)


def chat(server: str) -> Result:
    return run(f"{server}/v1/chat/completions", json=body(messages=MESSAGES), stream=OPENAI)


def time_per_token(result: Result) -> float:
    assert result.stream
    assert result.stream.time_per_output_token
    return result.stream.time_per_output_token


def raw_first_token(server: str) -> float:
    """Return the seconds until a client without libraries has received the first token."""
    address = urlsplit(server)
    content = json.dumps(body(messages=MESSAGES)).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    start = time.perf_counter()
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head.encode() + content)
        received = b""
        while b'"content":"' not in received:
            data = connection.recv(65536)
            assert data, received
            received += data
        end = time.perf_counter()
        while connection.recv(65536):
            pass
    return end - start
