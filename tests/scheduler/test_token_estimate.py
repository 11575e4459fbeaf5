"""Estimate of the tokens of a request from its body."""

import json
from pathlib import Path
from typing import Any

import pytest

from probe.scheduler.token_estimate import DEFAULT_OUTPUT_TOKENS, estimate_tokens
from tests.builders import make_probe

MESSAGES = [{"role": "user", "content": "x" * 96}]  # 100 characters with the role


@pytest.mark.parametrize(
    "limit",
    [
        {"max_tokens": 16},
        {"max_completion_tokens": 16},
        {"max_output_tokens": 16},
        {"options": {"num_predict": 16}},
        {"parameters": {"max_new_tokens": 16}},
        {"generationConfig": {"maxOutputTokens": 16}},
        {"inferenceConfig": {"maxTokens": 16}},
    ],
    ids=json.dumps,
)
def test_the_limit_of_the_output_is_read_from_the_body(
    tmp_path: Path, limit: dict[str, Any]
) -> None:
    """The request formats of model servers have it at different places."""
    estimate = estimate_tokens(make_probe(tmp_path, json={"messages": MESSAGES, **limit}))
    assert (estimate.input, estimate.output, estimate.has_limit) == (25, 16, True)


def test_a_request_without_limit(tmp_path: Path) -> None:
    """The output of a prompt is assumed to be long, and advice follows from `has_limit`."""
    estimate = estimate_tokens(make_probe(tmp_path, json={"messages": MESSAGES}))
    assert (estimate.output, estimate.has_limit) == (DEFAULT_OUTPUT_TOKENS, False)


def test_a_request_for_embeddings_generates_nothing(tmp_path: Path) -> None:
    """It has neither a prompt nor a stream."""
    estimate = estimate_tokens(make_probe(tmp_path, json={"input": ["x" * 10, "y" * 10]}))
    assert (estimate.input, estimate.output, estimate.has_limit) == (5, 0, True)


def test_bodies_of_text_and_of_a_file(tmp_path: Path) -> None:
    """JSON in them is read as well; other text is counted as a whole."""
    document = json.dumps({"prompt": "x" * 40, "max_tokens": 7})
    (tmp_path / "body.json").write_text(document)
    for keys in ({"body": document}, {"body_file": "body.json"}):
        estimate = estimate_tokens(make_probe(tmp_path, **keys))
        assert (estimate.input, estimate.output) == (10, 7)
    assert estimate_tokens(make_probe(tmp_path, body="x" * 9)).input == 3


@pytest.mark.parametrize("limit", [True, "16", -1, 1.5, None])
def test_a_limit_that_is_no_number_of_tokens_is_ignored(tmp_path: Path, limit: object) -> None:
    """A server would reject it, and the estimate must not be 0 or less."""
    body = {"prompt": "x", "max_tokens": limit}
    assert estimate_tokens(make_probe(tmp_path, json=body)).output == DEFAULT_OUTPUT_TOKENS
