"""What a receiver rejects of a document that it accepted."""

import json

import pytest

from probe.otlp.partial_success import MAX_MESSAGE_CHARS, read_partial_success


@pytest.mark.parametrize(
    ("partial", "rejected", "text"),
    [
        ({}, 0, ""),
        ({"rejectedSpans": "0"}, 0, ""),
        ({"rejectedSpans": "1", "errorMessage": "too old"}, 1, "1 span was rejected: too old"),
        ({"rejectedSpans": 3}, 3, "3 spans were rejected: the receiver gives no reason"),
        (
            {"rejectedDataPoints": "2", "errorMessage": "no\n such  tenant"},
            2,
            "2 data points were rejected: no such tenant",
        ),
        (
            {"rejectedSpans": "many", "errorMessage": "too old"},
            None,
            "an unknown number of spans was rejected, because `rejectedSpans` is invalid: too old",
        ),
        ({"errorMessage": "slow down"}, 0, "accepted with a warning: slow down"),
        (
            {"rejectedDataPoints": 0, "errorMessage": "w" * 1000},
            0,
            f"accepted with a warning: {'w' * MAX_MESSAGE_CHARS}",
        ),
    ],
)
def test_the_text(partial: dict[str, object], rejected: int | None, text: str) -> None:
    """It says how many of which items were rejected, and why."""
    found = read_partial_success(json.dumps({"partialSuccess": partial}).encode())
    assert (found.rejected, found.text) == (rejected, text)


@pytest.mark.parametrize(
    "content", [b"", b"OK", b"[]", b"{}", b'{"partialSuccess": "no"}', b"[" * 10_000]
)
def test_other_responses_are_successes(content: bytes) -> None:
    """Not all receivers respond with JSON."""
    found = read_partial_success(content)
    assert (found.rejected, found.text) == (0, "")
