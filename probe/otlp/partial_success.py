"""Responses of OTLP receivers that accepted a document, but not all of it.

https://opentelemetry.io/docs/specs/otlp/#partial-success-1
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Characters of a response in a message.
MAX_MESSAGE_CHARS = 200

# Names of the number of rejected items, and the items in words.
_ITEMS = {"rejectedSpans": "span", "rejectedDataPoints": "data point"}


@dataclass(frozen=True, slots=True)
class PartialSuccess:
    """What a receiver rejected of a document, in a sentence; "" if there is nothing to tell.

    `rejected` is the number of spans or data points; None if it is invalid. If it is 0, the text is
    a warning about accepted items.
    """

    rejected: int | None = 0
    text: str = ""


def read_partial_success(content: bytes) -> PartialSuccess:
    """Return the partial success in the body of a response. Not all receivers respond with JSON."""
    try:
        partial = json.loads(content).get("partialSuccess")
    except (ValueError, AttributeError, RecursionError):
        return PartialSuccess()
    if not isinstance(partial, dict):
        return PartialSuccess()
    reason = excerpt(str(partial.get("errorMessage") or ""))
    why = reason or "the receiver gives no reason"
    for key, item in _ITEMS.items():
        if partial.get(key) is not None:
            rejected = _number(partial, key)
            if rejected != 0:
                return PartialSuccess(
                    rejected,
                    f"{_rejected(rejected, key, item)}: {why}",
                )
    return PartialSuccess(0, reason and f"accepted with a warning: {reason}")


def excerpt(text: str) -> str:
    """Return the beginning of `text` in one line."""
    return " ".join(text[:MAX_MESSAGE_CHARS].split())


def _rejected(number: int | None, key: str, item: str) -> str:
    if number is None:
        return f"an unknown number of {item}s was rejected, because `{key}` is invalid"
    return f"{number} {item} was rejected" if number == 1 else f"{number} {item}s were rejected"


def _number(partial: Mapping[str, Any], key: str) -> int | None:
    """Return a number, which is text in the JSON of OTLP. None if it is invalid."""
    try:
        number = int(partial[key])
    except (ValueError, TypeError, OverflowError):
        return None
    return number if number >= 0 else None
