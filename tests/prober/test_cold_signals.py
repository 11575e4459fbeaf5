"""Explicit signals of cold starts: of gateways and model servers, and those of a config."""

import json
from typing import Any

import pytest

from tests.http.conftest import Serve
from tests.probing import run
from tests.raw_servers import always, http_response

LOADING = b'{"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}'
BUSY = b'{"error": {"code": 503, "message": "no slot available"}}'
CHAT = {"model": "m", "prompt": "hi"}


def cold(serve: Serve, response: bytes, **keys: Any) -> bool | None:
    """Return whether a response is a cold start."""
    return run(serve(always(response)).url(), **keys).cold


@pytest.mark.parametrize(
    ("value", "is_cold"), [("true", True), ("1", True), ("false", False), ("no", False)]
)
def test_header_of_keda(serve: Serve, value: str, is_cold: bool) -> None:
    """It is the default of `cold`."""
    reply = http_response(b"ok", f"x-keda-http-cold-start: {value}")
    assert cold(serve, reply, cold={}) is is_cold
    assert cold(serve, reply, cold={"header": "X-Other"}) is False


def test_without_cold(serve: Serve) -> None:
    """Nothing is known."""
    reply = http_response(b"ok", "X-KEDA-HTTP-Cold-Start: true")
    assert cold(serve, reply) is None


@pytest.mark.parametrize(
    ("value", "is_cold"), [(2, True), (2.5, True), (1.9, False), (True, True), ("9", False)]
)
def test_json(serve: Serve, value: Any, is_cold: bool) -> None:
    """A number from the minimum on, or true."""
    reply = http_response(json.dumps({"took": {"load": value}}).encode())
    assert cold(serve, reply, cold={"json": {"key": "$.took.load", "min": 2}}) is is_cold


@pytest.mark.parametrize(
    ("response", "is_cold"),
    [
        (http_response(LOADING, status="503 Service Unavailable"), True),
        (http_response(BUSY, status="503 Service Unavailable"), False),
        (http_response(LOADING, status="200 OK"), False),
    ],
    ids=["loading", "busy", "success"],
)
def test_llama_server(serve: Serve, response: bytes, is_cold: bool) -> None:
    """Its error has the status of an overload."""
    keys = {"protocol": {"openai-chat": CHAT}, "stream": None}
    assert cold(serve, response, **keys) is is_cold


@pytest.mark.parametrize("in_header", [True, False])
def test_bedrock(serve: Serve, in_header: bool) -> None:
    """The name of the exception is in a header or in the body."""
    name = "ModelNotReadyException"
    headers = [f"x-amzn-ErrorType: {name}:http://internal.amazon.com/"] if in_header else []
    body = b'{"message": "try again"}' if in_header else b'{"__type": "%s"}' % name.encode()
    reply = http_response(body, *headers, status="429 Too Many Requests")
    assert cold(serve, reply, protocol={"bedrock-converse": CHAT}) is True
    assert cold(serve, http_response(b"", status="429 x"), protocol={"bedrock-converse": CHAT}) is (
        False
    )


def test_status(serve: Serve) -> None:
    """Some proxies have no text."""
    reply = http_response(b"", status="503 Service Unavailable")
    assert cold(serve, reply, cold={"status": 503}) is True
    assert cold(serve, reply, cold={"status": 502}) is False
    assert cold(serve, reply, cold={"status": 503}, expect={"status": 503}) is False


@pytest.mark.parametrize(("load", "is_cold"), [(6_338_219_291, True), (5_025_959, False)])
def test_ollama(serve: Serve, load: int, is_cold: bool) -> None:
    """The last event has the time that it took to load the model."""
    events = (
        {"message": {"content": "pong"}, "done": False},
        {"message": {"content": ""}, "done": True, "done_reason": "stop", "load_duration": load},
    )
    body = "".join(json.dumps(event) + "\n" for event in events).encode()
    reply = http_response(body, "Content-Type: application/x-ndjson")
    assert cold(serve, reply, protocol={"ollama-chat": CHAT}) is is_cold
    assert cold(serve, reply, protocol={"ollama-chat": CHAT}, cold=None) is None


def test_a_refused_connection() -> None:
    """Without a response there is no signal."""
    assert run("http://127.0.0.1:1/", cold={"status": 503}).cold is False
