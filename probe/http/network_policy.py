"""Policy of the IP addresses that the daemon may connect to (`networks`)."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network
IpAddress = IPv4Address | IPv6Address

_LOOPBACK: Mapping[int, IpAddress] = {4: IPv4Address("127.0.0.1"), 6: IPv6Address("::1")}
_IPV4_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215
_IPV4_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, deprecated
_IPV4_TRANSLATED = IPv6Network("::ffff:0:0:0/96")  # RFC 2765
_THIS_NETWORK = IPv4Network("0.0.0.0/8")  # RFC 1122: no host has one of these addresses


# Addresses whose decision is kept. A redirect or a name lookup can bring any number of them.
MAX_DECISIONS = 1024


class NetworkPolicy:
    """Allow and deny lists of networks. Deny wins; an empty allow list allows all addresses."""

    def __init__(self, *, deny: tuple[Network, ...] = (), allow: tuple[Network, ...] = ()) -> None:
        self._deny = tuple(map(_unmap_network, deny))
        self._allow = tuple(map(_unmap_network, allow))
        # The networks never change. To decide takes 12 µs, 3 % of a run.
        self._decide = lru_cache(MAX_DECISIONS)(self._compare)

    def allows(self, host: str) -> bool:
        """Return True if connections to the IP address `host` are allowed.

        An address is denied if any of its forms is: as written, without IPv4 mapping, the address
        that the kernel connects to, and an IPv4 address that a gateway or a tunnel connects to.
        """
        return self._decide(host)

    def _compare(self, host: str) -> bool:
        written = ip_address(host.partition("%")[0])  # without the zone of fe80::1%eth0
        target = _connect_target(written)
        forms = {written, _unmap(written), target, *_embedded_ipv4(target)}
        if any(form in network for network in self._deny for form in forms):
            return False
        return not self._allow or any(target in network for network in self._allow)


def _unmap_network(network: Network) -> Network:
    """Return the IPv4 network of an IPv4-mapped IPv6 network, other networks unchanged."""
    if isinstance(network, IPv6Network) and network.subnet_of(_IPV4_MAPPED):
        first = int(network.network_address) & 0xFFFF_FFFF
        return IPv4Network((first, network.prefixlen - _IPV4_MAPPED.prefixlen))
    return network


def _unmap(address: IpAddress) -> IpAddress:
    """Return the IPv4 address of an IPv4-mapped IPv6 address, other addresses unchanged."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _connect_target(address: IpAddress) -> IpAddress:
    """Return the address that the kernel connects to: 0.0.0.0 and :: are loopback."""
    unmapped = _unmap(address)
    return _LOOPBACK[unmapped.version] if unmapped.is_unspecified else unmapped


def _embedded_ipv4(address: IpAddress) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that a gateway or a tunnel may connect to for `address`.

    These are the forms of NAT64, 6to4, Teredo (server and client), and IPv4-compatible and
    IPv4-translated addresses. 0.0.0.0/8 is not embedded: `::1` is the loopback address.
    """
    if not isinstance(address, IPv6Address):
        return
    last_32_bits = IPv4Address(address.packed[-4:])
    if address in _NAT64 or address in _IPV4_TRANSLATED:
        yield last_32_bits
    if address in _IPV4_COMPATIBLE and last_32_bits not in _THIS_NETWORK:
        yield last_32_bits
    if address in _LOCAL_NAT64:
        yield from _ipv4_in_local_nat64(address.packed)
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo


def _ipv4_in_local_nat64(packed: bytes) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that a local NAT64 gateway may read in an IPv6 address.

    Where they stand depends on the length of the gateway's prefix (RFC 6052, 2.2), which only the
    gateway knows. So they are read for every length. Those in 0.0.0.0/8 are wrong readings.
    """
    without_octet_8 = packed[:8] + packed[9:]  # octet 8 is zero and never part of the address
    readings = (
        without_octet_8[6:10],
        without_octet_8[7:11],
        without_octet_8[8:12],
        packed[12:],
    )
    yield from (ip for ip in map(IPv4Address, readings) if ip not in _THIS_NETWORK)
