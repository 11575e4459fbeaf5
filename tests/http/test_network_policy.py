"""Which addresses are connected to, whatever names, redirects and proxies say."""

import socket
from ipaddress import ip_network
from itertools import cycle
from typing import Any

import pytest

from probe.config.schema import Networks
from probe.http.network_policy import NetworkPolicy
from probe.http.resolver import Getaddrinfo
from probe.result import Reason
from tests.http.conftest import Serve
from tests.probing import detail, make_prober, names, reason, run
from tests.raw_servers import Server, always, http_response, once

LOOPBACK = {"deny": ["127.0.0.0/8", "::1/128"]}
NOT_THERE = {"deny": ["127.0.0.2/32"]}
METADATA = "169.254.169.254"


def answering(*turns: list[Server]) -> Getaddrinfo:
    """A name server to which any name is the addresses of these servers, at each turn of some."""
    left = cycle(turns)

    def getaddrinfo(*asked: Any) -> list[tuple[Any, ...]]:
        if asked[-1] & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "a name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", one.address) for one in next(left)]

    return getaddrinfo


def default() -> NetworkPolicy:
    return NetworkPolicy(deny=Networks().deny)


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
    """Where clouds keep the credentials of a machine, in all the clothes that IPv4 wears."""
    assert not default().allows(address)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "127.0.0.1", "::1", "2002:a00:1::", "fd00::1", "64:ff9b:1::10.0.0.1"]
)
def test_all_else_is_permitted_by_default(address: str) -> None:
    """Models are inside."""
    assert default().allows(address)


@pytest.mark.parametrize("address", ["127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:0.0.0.0"])
def test_this_machine_has_many_names(address: str) -> None:
    """To connect to no address is to connect to oneself."""
    denying = NetworkPolicy(deny=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
    assert not denying.allows(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::ffff:0.0.0.0"])
@pytest.mark.parametrize("denied", ["0.0.0.0/8", "::ffff:0:0/104", "127.0.0.1/32"])
def test_no_address_goes_by_two_names(address: str, denied: str) -> None:
    """By its own and by that of this machine."""
    assert not NetworkPolicy(deny=(ip_network(denied),)).allows(address)


def test_no_address_of_ipv6() -> None:
    """The same there."""
    assert not NetworkPolicy(deny=(ip_network("::/128"),)).allows("::")
    assert NetworkPolicy(deny=(ip_network("::/128"),)).allows("::1")


@pytest.mark.parametrize("address", [METADATA, f"::ffff:{METADATA}"])
@pytest.mark.parametrize("network", ["::ffff:169.254.0.0/112", "169.254.0.0/16"])
def test_networks_of_ipv4_in_the_clothes_of_ipv6(address: str, network: str) -> None:
    """However one is written, it is the same addresses."""
    assert not NetworkPolicy(deny=(ip_network(network),)).allows(address)
    assert NetworkPolicy(allow=(ip_network(network),)).allows(address)
    assert not NetworkPolicy(allow=(ip_network(network),)).allows("10.0.0.1")


def test_all_of_ipv6_holds_what_is_written_as_ipv6() -> None:
    """And not what is written as IPv4."""
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
def test_a_gateway_of_ones_own_has_a_prefix_of_any_length(address: str) -> None:
    """48, 56, 64 and 96 bits: the address is read in all of these ways."""
    assert not NetworkPolicy(deny=(ip_network(METADATA),)).allows(address)


def test_a_gateway_of_ones_own_does_not_read_what_nobody_has() -> None:
    """An address behind it is only denied for what it may stand for."""
    assert NetworkPolicy(deny=(ip_network("0.0.0.0/8"),)).allows("64:ff9b:1::10.0.0.1")


def test_deny_wins() -> None:
    """Of what is allowed, too; and what is not allowed is denied where anything is."""
    policy = NetworkPolicy(deny=(ip_network("10.1.0.0/16"),), allow=(ip_network("10.0.0.0/8"),))
    assert policy.allows("10.2.0.1")
    assert policy.allows("::ffff:10.2.0.1")
    assert not policy.allows("10.1.0.1")
    assert not policy.allows("192.168.0.1")
    assert not policy.allows("64:ff9b::10.2.0.1")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "0", "[::1]", "[::ffff:127.0.0.1]", "me"]
)
def test_however_the_address_is_written(serve: Serve, host: str) -> None:
    """What counts is the address that comes of it."""
    server = serve(always(http_response()))

    result = run(server.url(host=host), networks=LOOPBACK, getaddrinfo=names(me="127.0.0.1"))

    assert reason(result) is Reason.DENIED
    assert server.connections == 0


def test_at_every_hop(serve: Serve) -> None:
    """A redirect leads nowhere where the config could not."""
    inside = serve(always(http_response()), host="127.0.0.2")
    away = f"Location: {inside.url(host='127.0.0.2')}"
    server = serve(once(http_response(b"", away, status="302 Found")))

    result = run(server.url(), redirects=1, networks=NOT_THERE)

    assert reason(result) is Reason.DENIED
    assert "127.0.0.2" in detail(result)
    assert inside.connections == 0


@pytest.mark.parametrize("host", [METADATA, f"{METADATA}."])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_is_no_way_round(serve: Serve, scheme: str, host: str) -> None:
    """An address in a URL, or in a redirect, is not asked of a proxy either; nor is one with the
    dot of a full name, which proxies take away.
    """
    proxy = serve(always(http_response()))

    result = run(f"{scheme}://{host}/latest", proxy=proxy.url(), networks={})

    assert reason(result) is Reason.DENIED
    assert proxy.connections == 0


def test_a_name_is_the_proxys_to_judge(serve: Serve) -> None:
    """We do not know what it will make of it; its own address we do know, and that counts."""
    proxy = serve(always(http_response()))
    only = {"allow": ["127.0.0.0/8"]}
    assert reason(run("http://model.invalid/", proxy=proxy.url(), networks=only)) is None


def test_a_name_that_changes_between_two_looks(serve: Serve) -> None:
    """There are not two looks: a name server that answers in turns never gets us to where it
    must not, however often it is asked (DNS rebinding).
    """
    forbidden = serve(always(http_response()), host="127.0.0.2")
    permitted = serve(always(http_response()))
    rebinding = answering([permitted], [forbidden])
    prober = make_prober("http://name.test/", getaddrinfo=rebinding, networks=NOT_THERE)
    seen = [reason(prober.run()) for _ in range(10)]

    assert seen == [None, Reason.DENIED] * 5
    assert permitted.connections == 5
    assert forbidden.connections == 0


def test_of_many_addresses_the_permitted_ones(serve: Serve) -> None:
    """One that is forbidden is passed over, not tried."""
    forbidden = serve(always(http_response()), host="127.0.0.2")
    permitted = serve(always(http_response()))

    both = answering([forbidden, permitted])
    assert reason(run("http://name.test/", getaddrinfo=both, networks=NOT_THERE)) is None
    assert forbidden.connections == 0
