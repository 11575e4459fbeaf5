"""Numbers of tokens that a server reports, in a stream or in one JSON document."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from probe.config.choices import TokenPart
from probe.prober.response import BodyDecodeError, ProbeResponse
from probe.result import TokenCounts

# A number of tokens that is larger is a mistake of the server.
MAX_TOKENS = 10**9

# Objects with numbers of tokens: OpenAI, Anthropic and Bedrock; Gemini; TGI; Ollama (the top).
_USAGE_KEYS = ("usage", "usageMetadata", "details")

# Objects in those above, with parts of the input and the output.
_DETAILS_KEYS = (
    "prompt_tokens_details",
    "input_tokens_details",
    "completion_tokens_details",
    "output_tokens_details",
)

_COUNT_KEYS: Mapping[str, tuple[str, ...]] = {
    "input": (
        "prompt_tokens",
        "input_tokens",
        "inputTokens",
        "promptTokenCount",
        "prompt_eval_count",
    ),
    "output": (
        "completion_tokens",
        "output_tokens",
        "outputTokens",
        "candidatesTokenCount",
        "generated_tokens",
        "eval_count",
    ),
    TokenPart.CACHED: ("cached_tokens", "cachedContentTokenCount", "prompt_eval_cached_count"),
    TokenPart.REASONING: ("reasoning_tokens",),
    "total": ("total_tokens", "totalTokens", "totalTokenCount"),
}

# Parts that are not counted in the input, by Anthropic and Bedrock, or in the output, by Gemini.
_SEPARATE_KEYS: Mapping[str, tuple[str, ...]] = {
    TokenPart.CACHED: ("cache_read_input_tokens", "cacheReadInputTokens"),
    TokenPart.CACHE_WRITE: ("cache_creation_input_tokens", "cacheWriteInputTokens"),
    TokenPart.REASONING: ("thoughtsTokenCount",),
}


def is_plausible_count(value: Any) -> bool:
    """Return whether a value in the usage of a server is a number of tokens."""
    return type(value) is int and 0 <= value <= MAX_TOKENS


def token_counts(counts: Mapping[str, int], *, separate: Collection[TokenPart]) -> TokenCounts:
    """Return numbers of tokens in which `input` and `output` contain their parts.

    `counts` has the numbers that the server reports, by the keys of `usage` in the config. Those in
    `separate` are added, and so is a part that is larger than its whole.
    """

    def whole(name: str, part: TokenPart) -> int | None:
        if name not in counts:
            # Gemini reports no output if all of it was thoughts.
            return counts.get(part) if part in separate and name == "output" else None
        number, part_number = counts[name], counts.get(part, 0)
        return number + part_number if part in separate or part_number > number else number

    input_tokens = whole("input", TokenPart.CACHED)
    if input_tokens is not None and TokenPart.CACHE_WRITE in separate:
        input_tokens += counts.get(TokenPart.CACHE_WRITE, 0)
    return TokenCounts(
        input=input_tokens,
        output=whole("output", TokenPart.REASONING),
        cached=counts.get(TokenPart.CACHED),
        reasoning=counts.get(TokenPart.REASONING),
    )


def read_usage(response: ProbeResponse) -> TokenCounts:
    """Return the numbers of tokens in the JSON of `response`, None for those that are absent.

    Raises the errors of limits.
    """
    try:
        document = response.document
    except (BodyDecodeError, RecursionError):
        return TokenCounts()
    for usage in _usage_objects(document):
        counts = _document_counts(usage)
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


def _document_counts(usage: Mapping[str, Any]) -> TokenCounts:
    details = (usage.get(key) for key in _DETAILS_KEYS)
    objects = [usage, *(item for item in details if isinstance(item, Mapping))]
    separate = dict(_find_counts([usage], _SEPARATE_KEYS))
    counts = {**dict(_find_counts(objects, _COUNT_KEYS)), **separate}
    if counts.keys() == {"total"}:  # of a ranking
        return TokenCounts(input=counts["total"], output=0)
    tokens = token_counts(counts, separate={TokenPart(name) for name in separate})
    if "total" in counts and tokens.input is not None:
        # A response with embeddings reports no output.
        output = max(tokens.output or 0, counts["total"] - tokens.input)
        tokens = replace(tokens, output=output)
    return tokens


def _find_counts(
    objects: Iterable[Mapping[str, Any]], keys: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, int]]:
    """Yield the name and the first number of each count that one of the `objects` has."""
    for name, names in keys.items():
        values = (item.get(key) for item in objects for key in names)
        number = next(filter(is_plausible_count, values), None)
        if number is not None:
            yield name, number
