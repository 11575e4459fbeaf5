"""The exception of a run that fails because of its stream, and its reason for reported errors."""

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
