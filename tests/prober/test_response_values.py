"""Versions and segments that responses name: in headers, JSON and events."""

import json
from typing import Any

import pytest

from probe.prober.response_values import MAX_VALUE_CHARS
from probe.redaction import MASK
from probe.result import Reason, Result
from tests.http.conftest import Serve
from tests.probing import reason, run
from tests.raw_servers import always, http_response

IN_HEADER = {"from": "header", "key": "X-Model-Version"}
VARIANT = {"from": "header", "key": "x-amzn-invoked-production-variant"}
CHUNKS = (
    {"system_fingerprint": None, "choices": [{"delta": {"content": "a"}}]},
    {"system_fingerprint": "fp_1", "choices": [{"delta": {"content": "b"}}]},
    {"system_fingerprint": "fp_2", "choices": [{"delta": {}, "finish_reason": "stop"}]},
)


def events(*documents: Any) -> bytes:
    """Return a stream of the protocol of OpenAI."""
    lines = [f"data: {json.dumps(document)}\n\n" for document in documents]
    body = "".join([*lines, "data: [DONE]\n\n"]).encode()
    return http_response(body, "Content-Type: text/event-stream")


def in_json(key: str) -> dict[str, str]:
    return {"from": "json", "key": key}


def test_headers(serve: Serve) -> None:
    """Their names are case-insensitive."""
    reply = http_response(b"ok", "x-model-version: 1.4", "X-Amzn-Invoked-Production-Variant: blue")
    result = run(serve(always(reply)).url(), version=IN_HEADER, segment=VARIANT)
    assert (result.version, result.segment) == ("1.4", "blue")


def test_headers_of_a_failure(serve: Serve) -> None:
    """The failures of a version are its failures."""
    reply = http_response(b"", "X-Model-Version: 1.4", status="500 Oops")
    result = run(serve(always(reply)).url(), version=IN_HEADER)
    assert (reason(result), result.version) == (Reason.HTTP_5XX, "1.4")


@pytest.mark.parametrize(
    ("value", "version"),
    [
        ("2", "2"),
        (2, "2"),
        (1.5, "1.5"),
        (True, "true"),
        (0, "0"),
        (" 3\n4 ", "3 4"),
        ("v" * 200, "v" * MAX_VALUE_CHARS),
        ("a\ud800", "a"),
        (None, None),
        ("", None),
        (" ", None),
        ({"a": 1}, None),
        ([1], None),
    ],
    ids=repr,
)
def test_values(serve: Serve, value: Any, version: str | None) -> None:
    """Text, numbers and booleans are values. They become labels, so they are short lines."""
    body = json.dumps({"model_version": value}).encode()
    result = run(serve(always(http_response(body))).url(), version=in_json("$.model_version"))
    assert (reason(result), result.version) == (None, version)


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[" * 100_000, b"{}"], ids=["empty", "text", "nested", "object"]
)
def test_no_value_is_no_failure(serve: Serve, body: bytes) -> None:
    """The version is not a condition on the response."""
    result = run(serve(always(http_response(body))).url(), version=in_json("$.model_version"))
    assert (reason(result), result.version) == (None, None)


def test_a_large_body(serve: Serve) -> None:
    """The worker process evaluates it, and returns the value."""
    body = json.dumps({"padding": "x" * 200_000, "model_version": "7"}).encode()
    result = run(serve(always(http_response(body))).url(), version=in_json("$.model_version"))
    assert (reason(result), result.version) == (None, "7")


def stream_result(serve: Serve, *documents: Any, **keys: Any) -> Result:
    options = {"protocol": {"openai-chat": {"model": "m", "prompt": "hi"}}, **keys}
    return run(serve(always(events(*documents))).url(""), **options)


def test_a_stream(serve: Serve) -> None:
    """The protocol names the key, and the first value counts."""
    result = stream_result(serve, *CHUNKS)
    assert (reason(result), result.version) == (None, "fp_1")


def test_a_stream_that_fails(serve: Serve) -> None:
    """A truncated stream has the version of its events."""
    result = stream_result(serve, *CHUNKS[:2])
    assert (reason(result), result.version) == (Reason.TRUNCATED, "fp_1")


def test_another_version_than_that_of_the_protocol(serve: Serve) -> None:
    """Null disables it."""
    documents = [{**chunk, "model": "llama-3.3"} for chunk in CHUNKS]
    assert stream_result(serve, *documents, version=in_json("$.model")).version == "llama-3.3"
    assert stream_result(serve, *documents, version=None).version is None


def test_secrets_are_masked(serve: Serve) -> None:
    """An endpoint may repeat its key in any header."""
    reply = http_response(b"ok", "X-Model-Version: 1-s3cr3t-key")
    result = run(
        serve(always(reply)).url(),
        version=IN_HEADER,
        headers={"Authorization": "Bearer ${env:KEY}"},
        environ={"KEY": "s3cr3t-key"},
    )
    assert result.version == f"1-{MASK}"
