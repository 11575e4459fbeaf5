"""Signals of cold starts in a response: header, value in JSON, status code and error text."""

from collections.abc import Mapping
from typing import Any

from probe.config.response_settings import Cold
from probe.prober.response import json_number
from probe.result import Failure, Reason

# Name of the value of `cold: {json: ...}` among the values of a response.
COLD_VALUE = "cold"

_TRUE_VALUES = ("true", "1")
_AWS_ERROR_HEADER = "x-amzn-errortype"

# Failures whose response has an error in its body.
_ERROR_REASONS = (
    Reason.OVERLOADED,
    Reason.RATE_LIMITED,
    Reason.HTTP_4XX,
    Reason.HTTP_5XX,
    Reason.STREAM_ERROR,
)


class ColdSignals:
    """Finds the signals that the config of one probe names."""

    def __init__(self, cold: Cold) -> None:
        self._header = cold.header
        self._min = cold.json_value.min if cold.json_value else 0.0
        self._statuses = cold.status
        self._errors = tuple(text.lower() for text in cold.error)

    def detect(
        self,
        headers: Mapping[str, str],
        value: Any,
        failure: Failure | None,
        *,
        status: int,
        body_start: bytes,
    ) -> bool:
        """Return whether a response has a signal: it waited for a cold start, or failed in one.

        `value` is the value of `cold: {json: ...}` in the response; None if it is absent. Names in
        `headers` are case-insensitive.
        """
        if self._header and headers.get(self._header, "").strip().lower() in _TRUE_VALUES:
            return True
        if value is True or (json_number(value) or 0.0) >= self._min > 0:
            return True
        if failure is None or failure.reason not in _ERROR_REASONS:
            return False
        if any(pattern.allows(status) for pattern in self._statuses):
            return True
        error_type = headers.get(_AWS_ERROR_HEADER, "").lower()
        text = body_start.decode(errors="replace").lower() if self._errors else ""
        return any(error in text or error in error_type for error in self._errors)
