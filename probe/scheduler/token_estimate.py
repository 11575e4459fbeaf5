"""Estimate of the tokens of a request, from its body."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from probe.config.protocol_expansion import estimate_text_tokens
from probe.config.secrets import Template
from probe.config.settings import Probe

# Generated tokens of a request that does not limit them.
DEFAULT_OUTPUT_TOKENS = 1024

# Larger files are not parsed, so that they do not delay the start. Their size is known.
MAX_PARSED_BODY_BYTES = 1024 * 1024

# Keys with the maximum number of generated tokens, as paths from the top of the body.
_LIMIT_PATHS = (
    ("max_completion_tokens",),
    ("max_tokens",),
    ("max_output_tokens",),
    ("max_new_tokens",),
    ("max_tokens_to_sample",),
    ("n_predict",),
    ("num_predict",),
    ("options", "num_predict"),
    ("parameters", "max_new_tokens"),
    ("parameters", "max_tokens"),
    ("generationConfig", "maxOutputTokens"),
    ("inferenceConfig", "maxTokens"),
)

# Keys of requests that generate tokens. Requests without them and without `stream`, such as those
# for embeddings, generate none.
_GENERATION_KEYS = frozenset({"messages", "prompt", "contents"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEstimate:
    """Tokens of one request before the server has reported them."""

    input: int
    output: int
    """The maximum that the request allows, else DEFAULT_OUTPUT_TOKENS."""
    has_limit: bool
    """Whether the request limits its output."""
    by_payload: "Mapping[str | None, TokenEstimate]" = field(default_factory=dict)
    """The estimate of each payload by its name; empty without `payloads`."""

    @property
    def by_request(self) -> "Mapping[str | None, TokenEstimate]":
        """The estimate of each request by the name of its payload: None without `payloads`."""
        return self.by_payload or {None: self}


NO_ESTIMATE = TokenEstimate(input=0, output=0, has_limit=True)


def estimate_tokens(probe: Probe) -> TokenEstimate:
    """Return the estimate for a request of `probe`. Raises OSError if its body cannot be read.

    Input: a quarter of the characters of all texts in a JSON body, or of another body. A reference
    counts as it is written. Of several payloads, the largest input and the largest output count.
    """
    estimates = [_estimate(request) for request in probe.payload_probes()]
    return TokenEstimate(
        input=max(estimate.input for estimate in estimates),
        output=max(estimate.output for estimate in estimates),
        has_limit=all(estimate.has_limit for estimate in estimates),
        by_payload={
            payload.name: estimate
            for payload, estimate in zip(probe.payloads, estimates, strict=False)
        },
    )


def _estimate(probe: Probe) -> TokenEstimate:
    """Return the estimate for a probe without `payloads`."""
    document, chars = _body(probe)
    limit = find_output_limit(document)
    generates = probe.stream is not None or bool(_GENERATION_KEYS & _keys(document))
    return TokenEstimate(
        input=estimate_text_tokens(chars),
        output=limit if limit is not None else DEFAULT_OUTPUT_TOKENS if generates else 0,
        has_limit=limit is not None or not generates,
    )


def estimate_counted_tokens(probe: Probe) -> TokenEstimate:
    """Return `estimate_tokens`, or NO_ESTIMATE for a probe without `price` and `budget`."""
    return estimate_tokens(probe) if probe.price or probe.budget else NO_ESTIMATE


def find_output_limit(document: Any) -> int | None:
    """Return the maximum number of generated tokens, None if the JSON of the body has none."""
    for path in _LIMIT_PATHS:
        value = document
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if type(value) is int and value >= 0:
            return value
    return None


def _body(probe: Probe) -> tuple[Any, int]:
    """Return the JSON of the body, None if it is not JSON, and its number of characters."""
    if probe.json_body is not None:
        return probe.json_body, _count_chars(probe.json_body)
    text: str | bytes = probe.body.source if probe.body else b""
    if probe.body_file:
        size = probe.body_file.stat().st_size
        if size > MAX_PARSED_BODY_BYTES:
            return None, size
        text = probe.body_file.read_bytes()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None, len(text)
    return document, _count_chars(document)


def _count_chars(document: Any) -> int:
    return sum(map(len, _texts(document)))


def _texts(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, Template):
        yield document.source
    elif isinstance(document, Mapping):
        for value in document.values():
            yield from _texts(value)
    elif isinstance(document, (list, tuple)):
        for item in document:
            yield from _texts(item)


def _keys(document: Any) -> set[str]:
    return set(document) if isinstance(document, Mapping) else set()
