"""Why a probe failed: one table from the phase and the exception to the reason."""

import socket
import ssl
from http.client import BadStatusLine, HTTPException, UnknownProtocol

from probe.http.errors import (
    AddressDenied,
    BodyTooLarge,
    ProxyError,
    RedirectError,
    is_unreachable,
)
from probe.redaction import NO_REDACTION, Redactor
from probe.result import Failure, Phase, Reason

_TIMEOUTS = {
    Phase.DNS: Reason.DNS,
    Phase.CONNECT: Reason.CONNECT_TIMEOUT,
    Phase.TLS: Reason.TLS_TIMEOUT,
    Phase.SEND: Reason.SEND_TIMEOUT,
    Phase.WAIT: Reason.FIRST_BYTE_TIMEOUT,
    Phase.RECEIVE: Reason.BODY_TIMEOUT,
}

# The first row that fits counts. What fits none is our own fault: no descriptor, no local port, a
# bug; it must never be charged to the target.
_REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (AddressDenied, Reason.DENIED),
    (BodyTooLarge, Reason.TOO_LARGE),
    (ProxyError, Reason.PROXY),
    (RedirectError, Reason.HTTP_3XX),
    (socket.gaierror, Reason.DNS),
    (ConnectionRefusedError, Reason.REFUSED),
    (ConnectionError, Reason.RESET),
    (ssl.SSLError, Reason.TLS),
    (HTTPException, Reason.PROTOCOL),
)

_STATUSES = {
    401: Reason.HTTP_401_403,
    403: Reason.HTTP_401_403,
    429: Reason.RATE_LIMITED,
    503: Reason.OVERLOADED,
    529: Reason.OVERLOADED,
}

_CLASSES = {
    2: Reason.ASSERTION,
    3: Reason.HTTP_3XX,
    4: Reason.HTTP_4XX,
    5: Reason.HTTP_5XX,
}

_DOING = {
    Phase.DNS: "looking up the name",
    Phase.CONNECT: "connecting",
    Phase.TLS: "in the TLS handshake",
    Phase.SEND: "sending the request",
    Phase.WAIT: "waiting for the first byte of the answer",
    Phase.RECEIVE: "reading the answer",
}

MAX_MESSAGE_CHARS = 200
"""Characters of an exception's own words that are shown."""
MAX_GARBAGE_CHARS = 16
"""Characters of what came in the place of HTTP: it may be a body, and anybody may read this."""


def classify(
    phase: Phase | None, error: Exception, *, timeout: float, mask: Redactor = NO_REDACTION
) -> Failure:
    """The failure that an exception in a phase means; `timeout` (seconds) is for the sentence."""
    reason = _reason(phase, error)
    doing = _DOING[phase] if phase else "preparing the request"
    if phase and isinstance(error, TimeoutError):
        return Failure(reason=reason, detail=f"the deadline of {timeout:g} s passed while {doing}")
    text = _words(reason, error, mask)
    return Failure(reason=reason, detail=f"{text} (while {doing})" if phase else text)


def _reason(phase: Phase | None, error: Exception) -> Reason:
    if isinstance(error, TimeoutError):
        return _TIMEOUTS[phase] if phase else Reason.INTERNAL
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return Reason.UNREACHABLE if is_unreachable(error) else Reason.INTERNAL


def _words(reason: Reason, error: Exception, mask: Redactor) -> str:
    """What an exception says, on one line: a server's garbage may be a part of it."""
    # one who closes without a word is a BadStatusLine, too, but its words are http.client's
    strange = reason is Reason.PROTOCOL and isinstance(error, (BadStatusLine, UnknownProtocol))
    most = MAX_GARBAGE_CHARS if strange else MAX_MESSAGE_CHARS
    text = on_one_line(mask.cut(str(error), most)).strip()
    name = type(error).__name__
    if reason is Reason.INTERNAL:
        return f"{name}: {text} (a fault of the prober or of its machine)"
    if reason is Reason.PROTOCOL:
        return f"not the HTTP that was expected: {text or name}"
    return text or name


def on_one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def classify_status(status: int) -> Reason:
    """The reason for a status that `expect.status` does not name."""
    return _STATUSES.get(status) or _CLASSES.get(status // 100, Reason.PROTOCOL)
