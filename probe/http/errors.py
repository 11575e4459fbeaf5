"""What can go wrong with a probe and has no exception of the standard library's."""

import errno

_UNREACHABLE = {
    errno.ENETUNREACH,
    errno.EHOSTUNREACH,
    errno.ENETDOWN,
    errno.EHOSTDOWN,
}


def is_unreachable(error: Exception) -> bool:
    """Whether it says that the network knows no way to an address."""
    return isinstance(error, OSError) and error.errno in _UNREACHABLE


class ProbeError(Exception):
    """The sentence is for people."""


class AddressDenied(ProbeError):
    """The policy forbids the addresses of the host."""


class MissedOwnDeadline(ProbeError):
    """The deadline passed in our turn: this process was stopped, or had no processor."""


class BodyTooLarge(ProbeError):
    """The body is larger than the cap."""


class ProxyError(ProbeError):
    """The proxy cannot be reached or refuses the tunnel."""


class RedirectError(ProbeError):
    """A redirect that is not followed: too many, to nowhere, or with a body to a stranger."""
