"""The failure reasons that a probe can have, which are preset to 0."""

from functools import cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from probe.config.settings import Probe
from probe.result import Reason


def possible_reasons(probe: Probe) -> tuple[Reason, ...]:
    """Return the reasons for which a request of `probe` can fail, as far as its config tells."""
    return _reasons(
        has_stream=bool(probe.stream),
        has_dns=may_look_up_name(probe) or bool(probe.redirects),
        has_tls=probe.may_need_tls,
        has_proxy=bool(probe.proxy),
        has_cold=expects_cold_starts(probe),
    )


# Most probes of a config have the same reasons, and to find them takes 20 µs of CPU.
@cache
def _reasons(
    *, has_stream: bool, has_dns: bool, has_tls: bool, has_proxy: bool, has_cold: bool
) -> tuple[Reason, ...]:
    impossible: set[Reason] = set()
    if not has_stream:
        impossible.update(reason for reason in Reason if reason.is_stream_only)
    if not has_dns:
        impossible.add(Reason.DNS)
    if not has_tls:
        impossible.update((Reason.TLS, Reason.TLS_TIMEOUT))
    if not has_proxy:
        impossible.add(Reason.PROXY)
    if not has_cold:
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
