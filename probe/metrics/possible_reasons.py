"""The failure reasons that a probe can have, which are preset to 0."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from probe.config.settings import Probe
from probe.result import Reason


def possible_reasons(probe: Probe) -> tuple[Reason, ...]:
    """Return the reasons for which a request of `probe` can fail, as far as its config tells."""
    impossible: set[Reason] = set()
    if not probe.stream:
        impossible.update(reason for reason in Reason if reason.is_stream_only)
    if not may_look_up_name(probe) and not probe.redirects:
        impossible.add(Reason.DNS)
    if not probe.may_need_tls:
        impossible.update((Reason.TLS, Reason.TLS_TIMEOUT))
    if not probe.proxy:
        impossible.add(Reason.PROXY)
    if not expects_cold_starts(probe):
        impossible.add(Reason.COLD)
    return tuple(reason for reason in Reason if reason not in impossible)


def may_look_up_name(probe: Probe) -> bool:
    """Return whether the address of the server, or of the proxy, may have to be looked up.

    References may be a name.
    """
    try:
        ip_address(urlsplit((probe.proxy or probe.url).source).hostname or "")
    except ValueError:
        return True
    return False


def expects_cold_starts(probe: Probe) -> bool:
    """Return whether the series of cold starts are preset to 0.

    Each protocol has signals of cold starts, and most services have none.
    """
    return probe.cold is not None and probe.cold.is_expected
