"""Numbers of tokens in responses that are no streams, as model servers report them."""

import json
from typing import Any

import pytest

from probe.prober.evaluator import LOCAL_CONTENT_BYTES
from probe.prober.response import ProbeResponse
from probe.prober.usage import read_usage
from probe.result import Reason, Result, TokenCounts
from tests.http.conftest import Serve
from tests.probing import reason, run
from tests.raw_servers import always, http_response

USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
PRICE = {"input": 1, "currency": "USD"}

FORMATS: dict[str, tuple[Any, TokenCounts]] = {
    "OpenAI chat": (
        {
            "usage": {
                **USAGE,
                "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0},
            }
        },
        TokenCounts(input=9, output=4, cached=8, reasoning=3),
    ),
    "OpenAI responses": (
        {
            "usage": {
                "input_tokens": 9,
                "input_tokens_details": {"cached_tokens": 8},
                "output_tokens": 4,
                "output_tokens_details": {"reasoning_tokens": 3},
                "total_tokens": 13,
            }
        },
        TokenCounts(input=9, output=4, cached=8, reasoning=3),
    ),
    "xAI, whose output is without the reasoning": (
        {
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 4,
                "total_tokens": 19,
                "completion_tokens_details": {"reasoning_tokens": 6},
            }
        },
        TokenCounts(input=9, output=10, reasoning=6),
    ),
    "OpenAI embeddings": (
        {"usage": {"prompt_tokens": 9, "total_tokens": 9}},
        TokenCounts(input=9, output=0),
    ),
    "Anthropic, whose input is without the cached tokens": (
        {
            "usage": {
                "input_tokens": 2,
                "cache_read_input_tokens": 6,
                "cache_creation_input_tokens": 1,
                "output_tokens": 4,
            }
        },
        TokenCounts(input=9, output=4, cached=6),
    ),
    "Bedrock": (
        {"usage": {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}},
        TokenCounts(input=9, output=4),
    ),
    "Bedrock, whose input is without the cached tokens": (
        {
            "usage": {
                "inputTokens": 2,
                "outputTokens": 4,
                "totalTokens": 13,
                "cacheReadInputTokens": 6,
                "cacheWriteInputTokens": 1,
            }
        },
        TokenCounts(input=9, output=4, cached=6),
    ),
    "Gemini, with thoughts in the total": (
        {
            "usageMetadata": {
                "promptTokenCount": 9,
                "candidatesTokenCount": 4,
                "thoughtsTokenCount": 5,
                "totalTokenCount": 18,
                "cachedContentTokenCount": 3,
            }
        },
        TokenCounts(input=9, output=9, cached=3, reasoning=5),
    ),
    "Gemini, with nothing but thoughts": (
        {
            "usageMetadata": {
                "promptTokenCount": 9,
                "thoughtsTokenCount": 5,
                "totalTokenCount": 14,
            }
        },
        TokenCounts(input=9, output=5, reasoning=5),
    ),
    "TGI": ([{"details": {"generated_tokens": 4}}], TokenCounts(output=4)),
    "Ollama": (
        {"prompt_eval_count": 9, "prompt_eval_cached_count": 8, "eval_count": 4},
        TokenCounts(input=9, output=4, cached=8),
    ),
    "no usage": ({"choices": []}, TokenCounts()),
    "null usage": ({"usage": None}, TokenCounts()),
    "no numbers": ({"usage": {"prompt_tokens": "9", "completion_tokens": -1}}, TokenCounts()),
    "no object": ([[1]], TokenCounts()),
}


@pytest.mark.parametrize(("document", "tokens"), FORMATS.values(), ids=FORMATS)
def test_formats(document: Any, tokens: TokenCounts) -> None:
    """Each server has other names, and some count cached tokens separately."""
    body = json.dumps(document).encode()
    assert read_usage(ProbeResponse(headers={}, body=body, max_bytes=10**6)) == tokens


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[" * 100_000])
def test_a_body_that_is_no_json(body: bytes) -> None:
    """It has no numbers, which is no error."""
    assert read_usage(ProbeResponse(headers={}, body=body, max_bytes=10**6)) == TokenCounts()


def probe(serve: Serve, body: bytes, status: str = "200 OK", **keys: Any) -> Result:
    return run(serve(always(http_response(body, status=status))).url(), **keys)


def test_usage_is_read_if_tokens_count(serve: Serve) -> None:
    """Other probes do not parse their responses."""
    body = json.dumps({"usage": USAGE}).encode()
    assert probe(serve, body, price=PRICE).usage == TokenCounts(input=9, output=4)
    budget = {"tokens_per_day": "1k"}
    assert probe(serve, body, budget=budget).usage == TokenCounts(input=9, output=4)
    assert probe(serve, body).usage is None
    assert probe(serve, body, budget={"requests_per_hour": 9}).usage is None
    assert probe(serve, body, price=PRICE, status="500 Oh").usage is None


def test_usage_of_a_failed_assertion(serve: Serve) -> None:
    """The request was charged, also if its response is not as expected."""
    result = probe(
        serve, json.dumps({"usage": USAGE}).encode(), price=PRICE, expect={"body_matches": "x{9}"}
    )
    assert reason(result) is Reason.ASSERTION
    assert result.reported_tokens == TokenCounts(input=9, output=4)


def test_large_bodies_are_read_in_the_worker(serve: Serve) -> None:
    """They would hold the interpreter for too long in this process."""
    text = "x" * (LOCAL_CONTENT_BYTES + 1)
    body = json.dumps({"text": text, "usage": USAGE}).encode()
    result = probe(serve, body, price=PRICE)
    assert result.failure is None
    assert result.usage == TokenCounts(input=9, output=4)
