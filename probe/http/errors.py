"""Exceptions of a run, in addition to those of the standard library."""

import errno

_UNREACHABLE = {
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.EHOSTDOWN,
}


def is_unreachable(error: Exception) -> bool:
    """Return True if `error` says that there is no route to an address."""
    return isinstance(error, OSError) and error.errno in _UNREACHABLE


class ProbeError(Exception):
    """Base class; the message is shown to users."""


class AddressDenied(ProbeError):
    """The network policy denies all addresses of the host."""


class MissedOwnDeadline(ProbeError):
    """The deadline passed while the client had to act: it was suspended or had no CPU time."""


class BodyTooLarge(ProbeError):
    """The body is larger than `max_bytes`."""


class ProxyError(ProbeError):
    """The proxy cannot be reached or refuses the tunnel."""


class RedirectError(ProbeError):
    """A redirect that is not followed: too many, an invalid URL, or a body for another host."""


class ResponseError(ProbeError):
    """The response is not valid HTTP, or it is incomplete."""


class NotHttp(ResponseError):
    """The response does not begin with a status line of HTTP/1. The message is its first line."""
