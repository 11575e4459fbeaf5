"""Numbers of tokens that a server reports in the JSON of a response that is no stream."""

from collections.abc import Iterator, Mapping
from typing import Any

from probe.prober.response import BodyDecodeError, ProbeResponse
from probe.result import TokenCounts

# Objects with numbers of tokens: OpenAI, Anthropic and Bedrock; Gemini; TGI; Ollama (the top).
_USAGE_KEYS = ("usage", "usageMetadata", "details")

_INPUT_KEYS = (
    "prompt_tokens",
    "input_tokens",
    "inputTokens",
    "promptTokenCount",
    "prompt_eval_count",
)
_OUTPUT_KEYS = (
    "completion_tokens",
    "output_tokens",
    "outputTokens",
    "candidatesTokenCount",
    "generated_tokens",
    "eval_count",
)
_CACHED_KEYS = ("cached_tokens", "cachedContentTokenCount")
_DETAILS_KEYS = ("prompt_tokens_details", "input_tokens_details")
_TOTAL_KEYS = ("total_tokens", "totalTokens", "totalTokenCount")

# Anthropic's and Bedrock's input tokens are without these.
_CACHE_READ_KEYS = ("cache_read_input_tokens", "cacheReadInputTokens")
_CACHE_WRITE_KEYS = ("cache_creation_input_tokens", "cacheWriteInputTokens")


def read_usage(response: ProbeResponse) -> TokenCounts:
    """Return the numbers of tokens in the JSON of `response`, None for those that are absent.

    Raises the errors of limits.
    """
    try:
        document = response.document
    except (BodyDecodeError, RecursionError):
        return TokenCounts()
    for usage in _usage_objects(document):
        counts = _counts(usage)
        if counts != TokenCounts():
            return counts
    return TokenCounts()


def _usage_objects(document: Any) -> Iterator[Mapping[str, Any]]:
    document = document[0] if isinstance(document, list) and document else document
    if isinstance(document, Mapping):
        for key in _USAGE_KEYS:
            if isinstance(document.get(key), Mapping):
                yield document[key]
        yield document


def _counts(usage: Mapping[str, Any]) -> TokenCounts:
    cache_read, cache_write = _first(usage, _CACHE_READ_KEYS), _first(usage, _CACHE_WRITE_KEYS)
    cached = _first(usage, _CACHED_KEYS)
    for key in _DETAILS_KEYS:
        if cached is None and isinstance(usage.get(key), Mapping):
            cached = _first(usage[key], _CACHED_KEYS)
    input_tokens, output_tokens = _first(usage, _INPUT_KEYS), _first(usage, _OUTPUT_KEYS)
    total = _first(usage, _TOTAL_KEYS)
    if input_tokens is not None:
        input_tokens += (cache_read or 0) + (cache_write or 0)
        if total is not None:
            # A response with embeddings has no output, and Gemini counts thoughts in the total.
            output_tokens = max(output_tokens or 0, total - input_tokens)
    return TokenCounts(
        input=input_tokens,
        output=output_tokens,
        cached=cached if cache_read is None else cache_read,
    )


def _first(usage: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    """Return the first of the values that is a number of tokens."""
    for key in keys:
        value = usage.get(key)
        if type(value) is int and 0 <= value < 10**12:
            return value
    return None
