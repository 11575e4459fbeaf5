"""Expansion of `protocol` into the keys of a probe."""

import json
from pathlib import Path
from typing import Any

import pytest

from probe.check.output import render_json
from probe.check.plan import plan
from probe.check.request import request_json, request_lines
from probe.config.errors import ConfigError
from probe.config.loader import parse
from probe.config.settings import Probe
from probe.protocols.registry import PROTOCOLS
from tests.builders import make_settings
from tests.http.conftest import Serve
from tests.probing import make_prober
from tests.raw_servers import always, http_response

FIELDS: dict[str, dict[str, Any]] = {
    "openai-embeddings": {"model": "m", "input": "hi"},
    "tgi": {"prompt": "hi"},
    "kserve-v1": {"model": "m", "instances": [1]},
    "kserve-v2": {"model": "m", "inputs": []},
    "tf-serving": {"model": "m", "inputs": [1]},
    "mlflow": {"dataframe_split": {"columns": [], "data": []}},
    "torchserve": {"model": "m", "input": "hi"},
    "rerank": {"model": "m", "query": "a", "documents": ["b"]},
}
GENERATION = {"model": "m", "prompt": "hi"}
LONG = "word " * 60


def read(name: str = "openai-chat", fields: Any = None, **keys: Any) -> Probe:
    """Return the probe of a config with one protocol."""
    protocol = {name: fields or FIELDS.get(name, GENERATION)}
    probe = {"name": "p", "url": "http://model:80", "protocol": protocol, **keys}
    config = json.dumps({"probes": [probe]}).encode()
    (read_probe,) = parse(config, name="c", base=Path(), environ={"M": "llama"}).probes
    return read_probe


@pytest.mark.parametrize("name", PROTOCOLS)
def test_each_protocol_is_valid(name: str) -> None:
    """Model and input are enough."""
    probe = read(name)
    assert probe.method == "POST"
    assert probe.url.source.startswith("http://model:80/")
    assert (probe.json_body or probe.body) is not None
    assert (probe.stream is None) == (name in FIELDS and name != "tgi")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://m", "http://m/v1/chat/completions"),
        ("http://m/", "http://m/v1/chat/completions"),
        ("http://m/v1", "http://m/v1/chat/completions"),
        ("http://m/v1/", "http://m/v1/chat/completions"),
        ("http://m/api/v1", "http://m/api/v1/chat/completions"),
        ("http://m/api/v10", "http://m/api/v10"),
        ("http://m/?api-version=1", "http://m/?api-version=1"),
        ("http://${env:M}", "http://${env:M}/v1/chat/completions"),
    ],
)
def test_url(url: str, expected: str) -> None:
    """Only a URL without a path, or with one that ends with /v1, is completed."""
    assert read(url=url).url.source == expected


def test_model_in_the_path() -> None:
    """It may be a reference."""
    fields = {"model": "${env:M}", "prompt": "hi"}
    assert read("triton-generate", fields).url.source == (
        "http://model:80/v2/models/${env:M}/generate_stream"
    )
    fields = {"model": "a/b c:0", "prompt": "hi"}
    assert read("bedrock-converse", fields).url.source.endswith(
        "/model/a%2Fb%20c:0/converse-stream"
    )
    fields = {"model": "models/gemini-3", "prompt": "hi"}  # as in the list of Gemini's models
    assert "/v1beta/models/gemini-3:streamGenerateContent" in read("gemini", fields).url.source


def test_explicit_keys_override() -> None:
    """A key of the probe replaces that of the protocol; headers and `expect` are merged."""
    probe = read(
        "anthropic-messages",
        json={"mine": 1},
        headers={"Anthropic-Version": "2", "x-api-key": "k"},
        stream={"content": "$.a"},
        expect={"status": 201},
    )
    assert probe.json_body == {"mine": 1}
    assert [*probe.headers] == ["Anthropic-Version", "x-api-key"]
    assert probe.stream
    assert probe.stream.content == ("$.a",)
    kserve = read("kserve-v1", expect={"status": 201})
    assert [*kserve.expect.json_paths] == ["$.predictions[0]"]


def test_extra() -> None:
    """It is merged into the body, and null removes a key."""
    extra = {"max_tokens": None, "max_completion_tokens": 9, "stream_options": {"more": 1}}
    body: Any = read(fields={**GENERATION, "extra": extra}).json_body
    assert "max_tokens" not in body
    assert body["max_completion_tokens"] == 9
    assert body["stream_options"] == {"include_usage": True, "more": 1}


@pytest.mark.parametrize(
    ("fields", "has_nonce"),
    [
        ({"prompt": "hi"}, False),
        ({"prompt": LONG}, True),
        ({"prompt": LONG, "nonce": False}, False),
        ({"prompt": "hi", "nonce": True}, True),
        ({"messages": [{"role": "system", "content": LONG}]}, True),
        ({"messages": [{"role": "system", "content": "hi"}]}, False),
    ],
)
def test_nonce_of_long_prompts(fields: dict[str, Any], has_nonce: bool) -> None:
    """It is at the very beginning, because caches compare prompts from there."""
    body: Any = read(fields={"model": "m", **fields}).json_body
    assert body["messages"][0]["content"].startswith("{{nonce}} ") == has_nonce


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ({"openai-chat": {"model": "m"}}, "no input; write prompt or messages"),
        ({"openai-chat": {**GENERATION, "messages": []}}, "write only one of them"),
        ({"openai-chat": {**GENERATION, "max_token": 1}}, "did you mean `max_tokens`?"),
        ({"openai-cat": GENERATION}, "did you mean `openai-chat`?"),
        ({"tgi": {"prompt": "a"}, "gemini": GENERATION}, "write exactly one protocol"),
        ({}, "write exactly one protocol"),
        ({"kserve-v2": {"model": "m"}}, "inputs: this key is missing"),
        ({"mlflow": {}}, "no input; write inputs or instances"),
        ("openai-chat", "expected a mapping, not text"),
        ({"openai-chat": "m"}, "expected a mapping, not text"),
    ],
)
def test_mistakes(protocol: Any, message: str) -> None:
    """Each message says what to write instead, and there is only one."""
    probe = {"name": "p", "url": "http://m", "protocol": protocol}
    with pytest.raises(ConfigError) as caught:
        parse(json.dumps({"probes": [probe]}).encode(), name="c", base=Path(), environ={})
    (problem,) = caught.value.problems
    assert message in str(problem)


def test_first_token_timeout_in_defaults() -> None:
    """Only streams inherit it."""
    probes = [
        {"name": "a", "url": "http://m", "protocol": {"openai-chat": GENERATION}},
        {"name": "b", "url": "http://m"},
    ]
    config = {"defaults": {"first_token_timeout": "1s"}, "probes": probes}
    settings = parse(json.dumps(config).encode(), name="c", base=Path(), environ={})
    assert [probe.first_token_timeout for probe in settings.probes] == [1.0, None]


def test_variables(serve: Serve) -> None:
    """They differ from request to request, and a nonce has a fixed width."""
    server = serve(always(http_response(b"ok")))
    body = {"n": "{{nonce}}{{nonce}}", "s": "{{sequence}}", "t": "{{now}}", "x": "{{other}}"}
    prober = make_prober(server.url(), json=body)
    assert [prober.run().failure for _ in range(2)] == [None, None]
    first, second = (json.loads(request.body) for request in server.requests)
    assert (first["s"], second["s"], first["x"]) == ("1", "2", "{{other}}")
    assert first["n"] != second["n"]
    assert (len(first["n"]), first["n"][:12]) == (24, first["n"][12:])
    assert len(first["t"]) == len("2026-11-29T06:45:00Z")


def test_check_shows_the_request() -> None:
    """Literal values of headers and of keys in the body are masked, numbers are not."""
    probe = read(
        headers={"Authorization": "Bearer ${env:M}", "api-key": "s3cret"},
        fields={**GENERATION, "extra": {"api_key": "s3cret"}},
    )
    text = "\n".join(request_lines(probe))
    assert "POST http://model:80/v1/chat/completions" in text
    assert "Authorization: Bearer ${env:M}" in text
    assert '"max_tokens": 16' in text
    assert "s3cret" not in text
    assert "response: stream, sse" in text
    document = request_json(probe)
    assert "s3cret" not in str(document)
    assert document["headers"]["Authorization"] == "Bearer ${env:M}"
    assert (document["method"], document["stream"]) == ("POST", "sse")
    assert document["body"]["max_tokens"] == 16


def test_check_output_has_the_request(tmp_path: Path) -> None:
    """JSON has what the text shows, and null without `protocol`."""
    fields = {"model": "reviews", "input": "What a lovely day"}
    probes = [
        {"name": "a", "url": "http://m", "protocol": {"torchserve": fields}},
        {"name": "b", "url": "http://m", "json": {}},
        {"name": "c", "url": "http://m", "protocol": {"torchserve": fields}, "body_file": "cat"},
    ]
    (tmp_path / "cat").write_text("cat")
    document: Any = render_json(plan(make_settings(tmp_path, *probes)))
    request: dict[str, Any] = {
        "method": "POST",
        "url": "http://m/predictions/reviews",
        "headers": {},
        "body": "What a lovely day",
        "body_file": None,
        "stream": None,
    }
    file = {"body": None, "body_file": str(tmp_path / "cat")}
    assert [item["request"] for item in document["probes"]] == [request, None, request | file]


@pytest.mark.parametrize(
    ("name", "version", "segment"),
    [
        ("openai-chat", "$.system_fingerprint", None),
        ("kserve-v2", "$.model_version", None),
        ("sagemaker-stream", "$.system_fingerprint", "x-amzn-invoked-production-variant"),
        ("tgi", None, None),
    ],
)
def test_versions(name: str, version: str | None, segment: str | None) -> None:
    """The protocol names where the response has its version and segment."""
    probe = read(name)
    assert (probe.version and probe.version.key) == version
    assert (probe.segment and probe.segment.key) == segment
