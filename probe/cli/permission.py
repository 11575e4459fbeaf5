"""Permission to send many requests to an endpoint that is not on this machine."""

import sys
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from probe.cli.command import UsageError
from probe.config.settings import Probe
from probe.redaction import redact_config_url


def require_permission(
    probes: Iterable[Probe], requests: str, *, warning: str, is_allowed: bool
) -> None:
    """Ask before `requests` are sent to endpoints elsewhere. Raises UsageError without permission.

    `requests` is their number and rate, and `warning` the sentences about what they can do.
    """
    remote = [probe for probe in probes if not _is_on_loopback(probe)]
    if is_allowed or not remote:
        return
    names = dict.fromkeys(map(_host, remote))
    hosts = " and ".join(names)
    if sys.stdin.isatty() and sys.stderr.isatty():
        question = f"Send {requests} to {hosts}?"
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise UsageError("stopped: no requests were sent")
    is_not = "is not" if len(names) == 1 else "are not"
    raise UsageError(f"{hosts} {is_not} on this machine. {warning} To send {requests}, add --yes")


def _host(probe: Probe) -> str:
    return urlsplit(redact_config_url(probe.url.source)).netloc or "this endpoint"


def _is_on_loopback(probe: Probe) -> bool:
    """Return whether the URL is known to be of this machine. With a proxy it is not."""
    host = urlsplit(probe.url.source).hostname or ""
    if probe.proxy or "${" in probe.url.source:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
