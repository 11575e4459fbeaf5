"""Which addresses the daemon may connect to."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


class Policy:
    """Deny wins; an empty allow list allows all that is not denied."""

    def __init__(self, *, deny: tuple[Network, ...] = (), allow: tuple[Network, ...] = ()) -> None:
        self._deny = deny
        self._allow = allow

    def permits(self, host: str) -> bool:
        """Whether an IP address, as text, may be connected to."""
        address = _plain(ip_address(host.partition("%")[0]))  # without the zone of fe80::1%eth0
        if any(address in network for network in self._deny):
            return False
        return not self._allow or any(address in network for network in self._allow)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address in IPv6 clothes is judged as what the kernel connects to."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
