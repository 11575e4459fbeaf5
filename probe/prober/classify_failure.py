"""Classification of exceptions and status codes as reasons of failures."""

import re
import socket
import ssl

from probe.config.response_settings import Expect
from probe.http.errors import (
    AddressDenied,
    BodyTooLarge,
    NotHttp,
    ProxyError,
    RedirectError,
    ResponseError,
    describe_error,
    explain_error,
    is_unreachable,
)
from probe.prober.body import BodyMemoryExceeded
from probe.prober.stream_errors import StreamFailure
from probe.redaction import MAX_MESSAGE_CHARS, NO_REDACTION, Redactor, to_one_line
from probe.result import Failure, Phase, Reason

# Characters of an invalid response in a detail. It may be part of a body, and details are public.
MAX_GARBAGE_CHARS = 16

_TIMEOUT_REASONS = {
    Phase.DNS: Reason.DNS,
    Phase.CONNECT: Reason.CONNECT_TIMEOUT,
    Phase.TLS: Reason.TLS_TIMEOUT,
    Phase.SEND: Reason.SEND_TIMEOUT,
    Phase.WAIT: Reason.FIRST_BYTE_TIMEOUT,
    Phase.RECEIVE: Reason.BODY_TIMEOUT,
    Phase.FIRST_TOKEN: Reason.FIRST_TOKEN_TIMEOUT,
    Phase.GENERATE: Reason.BODY_TIMEOUT,
}

# The first matching row counts. Other exceptions are this daemon's or its host's: no descriptor, no
# local port, a bug. They must not count against the target's objective.
_ERROR_REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (AddressDenied, Reason.DENIED),
    (BodyTooLarge, Reason.TOO_LARGE),
    (ProxyError, Reason.PROXY),
    (RedirectError, Reason.HTTP_3XX),
    (socket.gaierror, Reason.DNS),
    (ConnectionRefusedError, Reason.REFUSED),
    (ConnectionError, Reason.RESET),
    (ssl.SSLError, Reason.TLS),
    (ResponseError, Reason.PROTOCOL),
)

_STATUS_REASONS = {
    401: Reason.HTTP_401_403,
    403: Reason.HTTP_401_403,
    429: Reason.RATE_LIMITED,
    503: Reason.OVERLOADED,
    529: Reason.OVERLOADED,
}

# What to change in the config, by the status code of the response.
_GET_ADVICE = "the endpoint does not accept GET; `json` (--json) or `body` makes it a POST"
_STATUS_ADVICE = {
    401: "the endpoint requires valid credentials in `headers`",
    405: "the endpoint does not accept this `method`",
    415: "the endpoint does not accept this type of body; write `json`, or the header Content-Type",
    422: "the endpoint does not accept this body; write `json` as the endpoint documents it",
}

_STATUS_CLASS_REASONS = {
    2: Reason.ASSERTION,
    3: Reason.HTTP_3XX,
    4: Reason.HTTP_4XX,
    5: Reason.HTTP_5XX,
}

_ACTIVITIES = {
    Phase.DNS: "looking up the name",
    Phase.CONNECT: "connecting",
    Phase.TLS: "in the TLS handshake",
    Phase.SEND: "sending the request",
    Phase.WAIT: "waiting for the first byte of the response",
    Phase.RECEIVE: "reading the response",
    Phase.FIRST_TOKEN: "waiting for the first token",
    Phase.GENERATE: "receiving tokens",
}


# First bytes of a record of TLS: an alert of any version.
_TLS_ALERT = re.compile("\x15\x03[\x00-\x04]")

_MAY_NEED_TLS = "; if this port speaks TLS, write https://"


def classify(
    phase: Phase | None,
    error: Exception,
    *,
    timeout: float,
    redactor: Redactor = NO_REDACTION,
    may_need_tls: bool = False,
) -> Failure:
    """Return the failure for an exception in `phase`; None is before the first phase.

    `timeout` (seconds) is the probe's, for the detail. `may_need_tls` is for an http URL whose
    server has not responded yet; a server that has responded does not need TLS.
    """
    if isinstance(error, StreamFailure):
        return Failure(reason=error.reason, detail=_message(error.reason, error, redactor))
    reason = _error_reason(phase, error)
    activity = _ACTIVITIES[phase] if phase else "preparing the request"
    if phase and isinstance(error, TimeoutError):
        detail = f"the deadline of {timeout:g} s passed while {activity}"
        return Failure(reason=reason, detail=detail)
    message = _message(reason, error, redactor)
    if may_need_tls and _is_like_tls(phase, error):
        message += _MAY_NEED_TLS
    if phase and not _says_activity(error):
        message += f" (while {activity})"
    return Failure(reason=reason, detail=message)


def _says_activity(error: Exception) -> bool:
    """Return whether the message about `error` says what failed, such as the name lookup."""
    is_reset = isinstance(error, ConnectionResetError)  # possible in most phases
    return explain_error(error) is not None and not is_reset


def _error_reason(phase: Phase | None, error: Exception) -> Reason:
    if isinstance(error, TimeoutError):
        return _TIMEOUT_REASONS[phase] if phase else Reason.INTERNAL
    for error_type, reason in _ERROR_REASONS:
        if isinstance(error, error_type):
            return reason
    return Reason.UNREACHABLE if is_unreachable(error) else Reason.INTERNAL


def _message(reason: Reason, error: Exception, redactor: Redactor) -> str:
    """Return the message of an exception, on one line. It may quote an invalid response."""
    max_chars = MAX_GARBAGE_CHARS if isinstance(error, NotHttp) else MAX_MESSAGE_CHARS
    message = to_one_line(redactor.truncate(describe_error(error), max_chars)).strip()
    name = type(error).__name__
    if isinstance(error, BodyMemoryExceeded):
        return message  # it says what to change in the config
    if reason is Reason.INTERNAL:
        return f"{name}: {message} (a fault of this daemon or its host)"
    if reason is Reason.PROTOCOL:
        return f"invalid HTTP response: {message or name}"
    return message or name


def _is_like_tls(phase: Phase | None, error: Exception) -> bool:
    """Return whether a server that expects TLS could have caused `error` of an http request."""
    if isinstance(error, NotHttp):
        return _TLS_ALERT.match(str(error)) is not None
    return phase in (Phase.SEND, Phase.WAIT) and isinstance(error, ConnectionError)


def classify_status(status: int) -> Reason:
    """Return the reason for a status code that `expect.status` does not allow."""
    return _STATUS_REASONS.get(status) or _STATUS_CLASS_REASONS.get(status // 100, Reason.PROTOCOL)


def find_status_failure(expect: Expect, status: int, method: str | None) -> Failure | None:
    """Return the failure of a response with this status code, None if `expect` allows it.

    `method` is that of the request, for advice in the detail.
    """
    if expect.allows(status):
        return None
    detail = f"the response has the status {status}"
    if status == 405 and method == "GET":
        detail += f": {_GET_ADVICE}"
    elif status in _STATUS_ADVICE:
        detail += f": {_STATUS_ADVICE[status]}"
    return Failure(reason=classify_status(status), detail=detail)
