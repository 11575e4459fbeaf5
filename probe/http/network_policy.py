"""Which addresses the daemon may connect to."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
IpAddress = IPv4Address | IPv6Address

_LOOPBACK: Mapping[int, IpAddress] = {4: IPv4Address("127.0.0.1"), 6: IPv6Address("::1")}
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215
_NOBODY = IPv4Network("0.0.0.0/8")


class NetworkPolicy:
    """Deny wins; an empty allow list allows all that is not denied."""

    def __init__(self, *, deny: tuple[Network, ...] = (), allow: tuple[Network, ...] = ()) -> None:
        self._deny = tuple(map(_plain, deny))
        self._allow = tuple(map(_plain, allow))

    def allows(self, host: str) -> bool:
        """Whether an IP address, as text, may be connected to."""
        written = ip_address(host.partition("%")[0])  # without the zone of fe80::1%eth0
        target = _target(written)
        ends = {written, _unmapped(written), target, *_behind_gateways(target)}
        if any(end in network for network in self._deny for end in ends):
            return False
        return not self._allow or any(target in network for network in self._allow)


def _plain(network: Network) -> Network:
    """IPv4 networks in IPv6 clothes are IPv4 networks."""
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        first = int(network.network_address) & 0xFFFF_FFFF
        return IPv4Network((first, network.prefixlen - _MAPPED.prefixlen))
    return network


def _unmapped(address: IpAddress) -> IpAddress:
    """So are addresses."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _target(address: IpAddress) -> IpAddress:
    """What the kernel connects to: no address is this machine."""
    plain = _unmapped(address)
    return _LOOPBACK[plain.version] if plain.is_unspecified else plain


def _behind_gateways(address: IpAddress) -> Iterator[IPv4Address]:
    """The IPv4 addresses where a gateway (NAT64, 6to4) would take us for an IPv6 one."""
    if not isinstance(address, IPv6Address):
        return
    if address in _NAT64:
        yield IPv4Address(address.packed[-4:])
    if address in _LOCAL_NAT64:
        yield from _of_local_nat64(address.packed)
    if address.sixtofour:
        yield address.sixtofour


def _of_local_nat64(packed: bytes) -> Iterator[IPv4Address]:
    """The IPv4 address in one of IPv6 (RFC 6052, 2.2), by every length of the prefix: only the
    gateway knows which it is. A wrong one reads addresses that nobody has.
    """
    around = packed[:8] + packed[9:]  # octet 8 is never a part of it
    readings = (around[6:10], around[7:11], around[8:12], packed[12:])
    yield from (ip for ip in map(IPv4Address, readings) if ip not in _NOBODY)
