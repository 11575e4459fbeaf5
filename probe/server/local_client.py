"""Recognises clients on this machine, to which the pages show responses of models.

The address of the client is not enough. With DNS rebinding, a page of another site lets its own
name resolve to 127.0.0.1: the browser then sends that name in `Host`. A reverse proxy on this
machine forwards requests of remote clients. It must say so in a header: nothing else distinguishes
its requests from those of local clients.
"""

import re
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection

from probe.server.auth import is_authenticated

# Names in `Host` that no name server can redirect, with any port.
_LOOPBACK_HOST = re.compile(
    r"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?", re.ASCII | re.IGNORECASE
)

# Headers that proxies add.
_FORWARDING_HEADERS = {"forwarded", "via", "x-real-ip"}
_FORWARDING_PREFIX = "x-forwarded-"


def may_see_responses(connection: HTTPConnection) -> bool:
    """Return whether the client may see headers and bodies of the responses of models.

    These are authenticated users, and clients on this machine. If users are configured,
    `BasicAuthMiddleware` rejects all other requests.
    """
    return is_authenticated(connection) or is_local(connection)


def is_local(connection: HTTPConnection) -> bool:
    """Return whether a program on this machine has sent the request to a loopback name."""
    hosts = connection.headers.getlist("host")
    return (
        connection.client is not None
        and _is_loopback(connection.client.host)
        and len(hosts) == 1
        and _LOOPBACK_HOST.fullmatch(hosts[0]) is not None
        and not any(map(_is_forwarding_header, connection.headers))
        # Browsers and curl use 1.1. nginx before 1.29.7 uses 1.0 for its backends, by default
        # without a forwarding header and with the backend's own address in `Host`.
        and connection.scope["http_version"] != "1.0"
    )


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback


def _is_forwarding_header(name: str) -> bool:
    """Return whether a proxy adds the header with this name (in lower case)."""
    return name in _FORWARDING_HEADERS or name.startswith(_FORWARDING_PREFIX)
