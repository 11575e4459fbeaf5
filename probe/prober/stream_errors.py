"""The exception of a run that fails because of its stream: reported errors and finish reasons."""

import json
import re
from typing import Any

from probe.http.errors import ProbeError
from probe.result import Reason

# Types of errors in events that have the reason `overloaded` or `rate_limited`.
_OVERLOADED = re.compile(r"overload|unavailable|\b(503|529)\b", re.IGNORECASE)
_RATE_LIMITED = re.compile(
    r"rate.?limit|throttl|too_many_requests|resource_exhausted|\b429\b", re.IGNORECASE
)

# Finish reasons of vLLM, SGLang and gateways for a request that has failed.
_ERROR_FINISH = re.compile("error|abort", re.IGNORECASE)

# The finish reason of a stream with text at one of the paths `refusal`.
REFUSAL = "refusal"

# Finish reasons of a model or a filter that refuses to respond. `length` is what `max_tokens` asks
# for.
_REFUSAL_FINISH = re.compile(
    f"content_filter|content_filtered|{REFUSAL}|safety|recitation|blocklist|prohibited_content|spii"
    "|image_safety|language|other|unexpected_tool_call|guardrail_intervened|malformed_.*",
    re.IGNORECASE,
)

# Keys of an error object that may name its type.
_TYPE_KEYS = ("type", "status", "error_type", "code")


class StreamFailure(ProbeError):
    """The run fails because of its stream. The message is the detail of the failure."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def reported_error(error: Any, event_type: str = "") -> StreamFailure:
    """Return the exception for the error in an event, whose type may be that of the error.

    Servers send text, or an object with `message` and a type or code.
    """
    kinds, message = [event_type] if event_type else [], error
    if isinstance(error, dict):
        values = [error.get(key) for key in _TYPE_KEYS]
        # `error` is the type of the event, and says less than a code.
        kinds = [*(str(value) for value in values if value and value != "error"), *kinds]
        message = error.get("message")
    if not isinstance(message, str) or not message:
        message = json.dumps(error)
    text = f"the stream reports an error: {message}"
    if kinds and kinds[0] not in message:
        text += f" ({kinds[0]})"
    reason = Reason.STREAM_ERROR
    if any(map(_OVERLOADED.search, kinds)):
        reason = Reason.OVERLOADED
    elif any(map(_RATE_LIMITED.search, kinds)):
        reason = Reason.RATE_LIMITED
    return StreamFailure(reason, text)


def is_error_finish(reason: str) -> bool:
    """Return whether a finish reason says that the request has failed."""
    return bool(_ERROR_FINISH.fullmatch(reason))


def is_failed_finish(reason: str) -> bool:
    """Return whether a finish reason is an error or a refusal, unless `expect.finish` allows it."""
    return is_error_finish(reason) or bool(_REFUSAL_FINISH.fullmatch(reason))
