"""Which addresses the daemon may connect to."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
Ip = IPv4Address | IPv6Address

_LOOPBACK: Mapping[int, Ip] = {4: IPv4Address("127.0.0.1"), 6: IPv6Address("::1")}
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052


class Policy:
    """Deny wins; an empty allow list allows all that is not denied."""

    def __init__(self, *, deny: tuple[Network, ...] = (), allow: tuple[Network, ...] = ()) -> None:
        self._deny = deny
        self._allow = allow

    def permits(self, host: str) -> bool:
        """Whether an IP address, as text, may be connected to."""
        address = _target(ip_address(host.partition("%")[0]))  # without the zone of fe80::1%eth0
        if any(end in network for network in self._deny for end in _ends(address)):
            return False
        return not self._allow or any(address in network for network in self._allow)


def _target(address: Ip) -> Ip:
    """What the kernel connects to: IPv4 in IPv6 clothes is IPv4, and no address is this machine."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return _LOOPBACK[address.version] if address.is_unspecified else address


def _ends(address: Ip) -> Iterator[Ip]:
    """The address, and the IPv4 address where a gateway (NAT64, 6to4) would take us for it."""
    yield address
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            yield IPv4Address(address.packed[-4:])
        if address.sixtofour:
            yield address.sixtofour
