"""Network policy: which addresses the daemon connects to, for names, redirects and proxies."""

import socket
from ipaddress import IPv6Address, ip_address, ip_network
from itertools import cycle
from typing import Any

import pytest

from probe.config.http_types import METADATA_NETWORKS
from probe.config.schema import NetworksModel
from probe.http.network_policy import NetworkPolicy
from probe.http.resolver import Getaddrinfo
from probe.result import Reason
from tests.http.conftest import Serve
from tests.probing import detail, fake_getaddrinfo, make_prober, reason, run
from tests.raw_servers import Server, always, http_response, once

DENY_LOOPBACK = {"deny": ["127.0.0.0/8", "::1/128"]}
DENY_127_0_0_2 = {"deny": ["127.0.0.2/32"]}
METADATA = "169.254.169.254"
IPV4_METADATA = (METADATA, "100.100.100.200", "168.63.129.16", "192.0.0.192")


def resolve_to(*turns: list[Server]) -> Getaddrinfo:
    """Return a getaddrinfo with the addresses of these servers for any name, in turns."""
    next_servers = cycle(turns)

    def getaddrinfo(*arguments: Any) -> list[tuple[Any, ...]]:
        if arguments[-1] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        servers = next(next_servers)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", server.address) for server in servers]

    return getaddrinfo


def default_policy() -> NetworkPolicy:
    return NetworkPolicy(deny=NetworksModel().to_settings().deny)


@pytest.mark.parametrize(
    "address",
    [
        METADATA,
        f"::ffff:{METADATA}",
        f"64:ff9b::{METADATA}",
        f"64:ff9b:1::{METADATA}",
        "2002:a9fe:a9fe::1",
        "fe80::1",
        "fe80::1%lo",
    ],
)
def test_link_local_is_denied_by_default(address: str) -> None:
    """Clouds serve the credentials of a machine there; also IPv4 addresses written as IPv6."""
    assert not default_policy().allows(address)


@pytest.mark.parametrize("address", [*IPV4_METADATA, "fd00:ec2::254", "fd20:ce::254"])
def test_metadata_services_are_denied_by_default(address: str) -> None:
    """Those of the major clouds, and the forms of their IPv4 addresses as IPv6."""
    assert not default_policy().allows(address)


@pytest.mark.parametrize(
    "form",
    [
        "::ffff:{}",
        "::{}",
        "::ffff:0:{}",
        "64:ff9b::{}",
        "64:ff9b:1::{}",
    ],
)
@pytest.mark.parametrize("address", IPV4_METADATA)
def test_ipv6_forms_of_metadata_services_are_denied(address: str, form: str) -> None:
    """Mapped, compatible, translated, NAT64 and local NAT64."""
    assert not default_policy().allows(form.format(address))


@pytest.mark.parametrize("address", IPV4_METADATA)
def test_tunnels_to_metadata_services_are_denied(address: str) -> None:
    """6to4, and Teredo with the address as its server or, with inverted bits, as its client."""
    number = int(ip_address(address))
    other = int(ip_address("192.0.2.1"))
    six_to_four = IPv6Address(0x2002 << 112 | number << 80 | 1)
    teredo_server = IPv6Address(0x2001_0000 << 96 | number << 64 | (other ^ 0xFFFF_FFFF))
    teredo_client = IPv6Address(0x2001_0000 << 96 | other << 64 | (number ^ 0xFFFF_FFFF))

    assert teredo_client.teredo == (ip_address(other), ip_address(number))
    for tunnel in (six_to_four, teredo_server, teredo_client):
        assert not default_policy().allows(str(tunnel))


def test_a_metadata_service_can_be_allowed() -> None:
    """`deny` replaces the default."""
    networks = [network for network in METADATA_NETWORKS if network != "168.63.129.16/32"]
    policy = NetworkPolicy(deny=NetworksModel.model_validate({"deny": networks}).to_settings().deny)

    assert policy.allows("168.63.129.16")
    assert not policy.allows(METADATA)


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "127.0.0.1", "::1", "2002:a00:1::", "fd00::1", "64:ff9b:1::10.0.0.1"),
        *("100.100.100.201", "fd00:ec2::253", "168.63.129.17", "192.0.0.193"),
        *("::10.0.0.1", "::ffff:0:10.0.0.1", "2001:0:a00:1::f5ff:fffe"),
    ],
)
def test_other_addresses_are_allowed_by_default(address: str) -> None:
    """Models often have private addresses."""
    assert default_policy().allows(address)


@pytest.mark.parametrize("address", ["127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:0.0.0.0"])
def test_the_unspecified_address_is_loopback(address: str) -> None:
    """The kernel connects to this machine for 0.0.0.0 and ::."""
    policy = NetworkPolicy(deny=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
    assert not policy.allows(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::ffff:0.0.0.0"])
@pytest.mark.parametrize("denied", ["0.0.0.0/8", "::ffff:0:0/104", "127.0.0.1/32"])
def test_the_unspecified_address_is_denied_in_both_forms(address: str, denied: str) -> None:
    """By a network that contains it, and by one that contains loopback."""
    assert not NetworkPolicy(deny=(ip_network(denied),)).allows(address)


def test_the_unspecified_address_of_ipv6() -> None:
    """A network that contains only :: does not deny ::1."""
    assert not NetworkPolicy(deny=(ip_network("::/128"),)).allows("::")
    assert NetworkPolicy(deny=(ip_network("::/128"),)).allows("::1")


@pytest.mark.parametrize("address", [METADATA, f"::ffff:{METADATA}"])
@pytest.mark.parametrize("network", ["::ffff:169.254.0.0/112", "169.254.0.0/16"])
def test_ipv4_mapped_networks_are_ipv4_networks(address: str, network: str) -> None:
    """Both notations contain the same addresses, in either notation."""
    assert not NetworkPolicy(deny=(ip_network(network),)).allows(address)
    assert NetworkPolicy(allow=(ip_network(network),)).allows(address)
    assert not NetworkPolicy(allow=(ip_network(network),)).allows("10.0.0.1")


def test_all_of_ipv6_contains_ipv4_mapped_addresses() -> None:
    """It does not contain addresses written as IPv4."""
    policy = NetworkPolicy(deny=(ip_network("::/0"),))
    assert not policy.allows("::ffff:10.0.0.1")
    assert policy.allows("10.0.0.1")


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1:12a9:fe:a9fe::",
        "64:ff9b:1:1234:a9:fea9:fe00::",
        f"64:ff9b:1:1234:5678:9abc:{METADATA}",
    ],
)
def test_a_local_nat64_prefix_may_have_any_length(address: str) -> None:
    """The IPv4 address is read for prefixes of 48, 56, 64 and 96 bits."""
    assert not NetworkPolicy(deny=(ip_network(METADATA),)).allows(address)


def test_a_local_nat64_address_is_not_read_as_0_0_0_0() -> None:
    """Wrong readings in 0.0.0.0/8 do not deny an address."""
    assert NetworkPolicy(deny=(ip_network("0.0.0.0/8"),)).allows("64:ff9b:1::10.0.0.1")


def test_deny_wins() -> None:
    """It applies to allowed networks, too. With an allow list, all other addresses are denied."""
    policy = NetworkPolicy(deny=(ip_network("10.1.0.0/16"),), allow=(ip_network("10.0.0.0/8"),))
    assert policy.allows("10.2.0.1")
    assert policy.allows("::ffff:10.2.0.1")
    assert not policy.allows("10.1.0.1")
    assert not policy.allows("192.168.0.1")
    assert not policy.allows("64:ff9b::10.2.0.1")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "0", "[::1]", "[::ffff:127.0.0.1]", "me"]
)
def test_every_notation_of_an_address_is_denied(serve: Serve, host: str) -> None:
    """The policy applies to the address that the host resolves to."""
    server = serve(always(http_response()))

    result = run(
        server.url(host=host), networks=DENY_LOOPBACK, getaddrinfo=fake_getaddrinfo(me="127.0.0.1")
    )

    assert reason(result) is Reason.DENIED
    assert server.connections == 0


def test_the_policy_applies_to_redirects(serve: Serve) -> None:
    """A redirect to a denied address is not followed."""
    inside = serve(always(http_response()), host="127.0.0.2")
    away = f"Location: {inside.url(host='127.0.0.2')}"
    server = serve(once(http_response(b"", away, status="302 Found")))

    result = run(server.url(), redirects=1, networks=DENY_127_0_0_2)

    assert reason(result) is Reason.DENIED
    assert "127.0.0.2" in detail(result)
    assert inside.connections == 0


@pytest.mark.parametrize("host", [METADATA, f"{METADATA}."])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_denied_address_is_not_requested_from_a_proxy(
    serve: Serve, scheme: str, host: str
) -> None:
    """Also with the trailing dot of a fully qualified name, which proxies remove."""
    proxy = serve(always(http_response()))

    result = run(f"{scheme}://{host}/latest", proxy=proxy.url(), networks={})

    assert reason(result) is Reason.DENIED
    assert proxy.connections == 0


def test_a_proxy_may_resolve_any_name(serve: Serve) -> None:
    """The daemon does not know the result; the policy applies to the address of the proxy."""
    proxy = serve(always(http_response()))
    loopback = {"allow": ["127.0.0.0/8"]}
    assert reason(run("http://model.invalid/", proxy=proxy.url(), networks=loopback)) is None


def test_a_name_that_changes_its_address(serve: Serve) -> None:
    """DNS rebinding does not work: the address that the policy allowed is connected to.

    A second lookup might return another address.
    """
    denied_server = serve(always(http_response()), host="127.0.0.2")
    allowed_server = serve(always(http_response()))
    rebinding = resolve_to([allowed_server], [denied_server])
    prober = make_prober("http://name.test/", getaddrinfo=rebinding, networks=DENY_127_0_0_2)
    reasons = [reason(prober.run()) for _ in range(10)]

    assert reasons == [None, Reason.DENIED] * 5
    assert allowed_server.connections == 5
    assert denied_server.connections == 0


def test_denied_addresses_of_a_host_are_skipped(serve: Serve) -> None:
    """The allowed ones are used."""
    denied_server = serve(always(http_response()), host="127.0.0.2")
    allowed_server = serve(always(http_response()))

    both = resolve_to([denied_server, allowed_server])
    assert reason(run("http://name.test/", getaddrinfo=both, networks=DENY_127_0_0_2)) is None
    assert denied_server.connections == 0
