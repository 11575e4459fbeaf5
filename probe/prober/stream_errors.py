"""Exceptions of a run that fails because of its stream, each with the reason of the failure."""

import json
import re
from typing import Any, ClassVar

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
    """Base class; the message is the detail of the failure."""

    reason: ClassVar[Reason]


class NotAStream(StreamFailure):
    """The response is a success, and not a stream."""

    reason = Reason.ASSERTION


class FirstTokenTimeout(StreamFailure):
    """No token came within `first_token_timeout`."""

    reason = Reason.FIRST_TOKEN_TIMEOUT


class StreamStalled(StreamFailure):
    """No token came for `stall_timeout`."""

    reason = Reason.STALL_TIMEOUT


class StreamTruncated(StreamFailure):
    """The body ended before the stream."""

    reason = Reason.TRUNCATED


class InvalidEvent(StreamFailure):
    """An event is not JSON, is too long, or takes too much time."""

    reason = Reason.STREAM_ERROR


class ErrorEvent(StreamFailure):
    """An event reports an error."""

    reason = Reason.STREAM_ERROR


class OverloadedEvent(ErrorEvent):
    """An event reports that the server is overloaded."""

    reason = Reason.OVERLOADED


class RateLimitedEvent(ErrorEvent):
    """An event reports that the client sends too many requests."""

    reason = Reason.RATE_LIMITED


def error_event(error: Any, event_type: str = "") -> ErrorEvent:
    """Return the exception for the error in an event, whose type may be that of the error.

    Servers send text, or an object with `message` and a type or code.
    """
    kinds, message = [event_type] if event_type else [], error
    if isinstance(error, dict):
        kinds = [*(str(error[key]) for key in _TYPE_KEYS if error.get(key)), *kinds]
        message = error.get("message")
    if not isinstance(message, str) or not message:
        message = json.dumps(error)
    text = f"the stream reports an error: {message}"
    if kinds and kinds[0] not in message:
        text += f" ({kinds[0]})"
    if any(map(_OVERLOADED.search, kinds)):
        return OverloadedEvent(text)
    if any(map(_RATE_LIMITED.search, kinds)):
        return RateLimitedEvent(text)
    return ErrorEvent(text)
