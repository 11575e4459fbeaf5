"""Reasons of failures before a connection is established."""

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from probe.http.timed_socket import TimedSocket
from probe.result import Phase, Reason
from tests.http.conftest import Serve
from tests.probing import detail, fake_getaddrinfo, make_prober, reason, run, run_median
from tests.raw_servers import always, free_port, full_accept_queue, http_response

pytestmark = pytest.mark.timing


def unknown_name(host: str, *_: Any) -> list[tuple[Any, ...]]:
    """Fail as a working name server does for an unknown name."""
    raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known: {host}")


@pytest.fixture
def hanging_lookup() -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Return a getaddrinfo that hangs until the end of the test."""
    over = threading.Event()

    def getaddrinfo(host: str, *rest: Any) -> list[tuple[Any, ...]]:
        if rest[-1] & socket.AI_NUMERICHOST:
            return list(socket.getaddrinfo(host, *rest))
        over.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "too late")

    yield getaddrinfo
    over.set()


def test_an_unknown_name_is_dns() -> None:
    """No name under .invalid exists (RFC 6761)."""
    result = run("http://model.invalid/", getaddrinfo=unknown_name)

    assert reason(result) is Reason.DNS
    assert set(result.phases) == {Phase.DNS}


def test_a_hanging_lookup_is_dns(hanging_lookup: Callable[..., list[tuple[Any, ...]]]) -> None:
    """The lookup takes until the deadline."""
    result = run_median("http://model.test/", getaddrinfo=hanging_lookup, timeout="150ms")

    assert reason(result) is Reason.DNS
    assert result.latency == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".test"])
def test_a_name_that_idna_cannot_encode_is_dns(host: str, serve: Serve) -> None:
    """An empty label or one of 64 characters in a redirect. A config with it is invalid."""
    moved = http_response(b"", f"Location: http://{host}/", status="302 Found")

    assert reason(run(serve(always(moved)).url(), redirects=1)) is Reason.DNS


def test_a_port_without_listener_is_refused() -> None:
    """The model's process does not run."""
    result = run(f"http://127.0.0.1:{free_port()}/")

    assert reason(result) is Reason.REFUSED
    assert set(result.phases) == {Phase.CONNECT}


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH])
def test_no_route_is_unreachable(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The error is injected: a sandbox has a default route."""

    def connect(*_: Any) -> None:
        raise OSError(number, "no route")

    monkeypatch.setattr(TimedSocket, "connect_within", connect)

    assert reason(run("http://192.0.2.1/")) is Reason.UNREACHABLE


def test_refused_on_ipv4_without_ipv6_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` also resolves to ::1 on a host without IPv6. Its error must not be reported."""
    port = free_port()
    addresses = [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET6, ("::1", port, 0, 0))]
    connect = TimedSocket.connect_within

    def without_ipv6(self: TimedSocket, address: tuple[Any, ...], share: float) -> None:
        if self.family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        connect(self, address, share)

    def getaddrinfo(*_: Any) -> list[tuple[Any, ...]]:
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in addresses]

    monkeypatch.setattr(TimedSocket, "connect_within", without_ipv6)

    assert reason(run(f"http://localhost:{port}/", getaddrinfo=getaddrinfo)) is Reason.REFUSED


@pytest.mark.parametrize(
    ("numbers", "wanted"),
    [
        ((errno.EADDRNOTAVAIL, errno.EHOSTUNREACH), Reason.UNREACHABLE),
        ((errno.EHOSTUNREACH, errno.EADDRNOTAVAIL), Reason.UNREACHABLE),
        ((errno.EHOSTUNREACH, errno.ECONNREFUSED), Reason.REFUSED),
        ((errno.ECONNREFUSED, errno.EHOSTUNREACH), Reason.REFUSED),
    ],
)
def test_the_most_specific_error_of_several_addresses_counts(
    monkeypatch: pytest.MonkeyPatch, numbers: tuple[int, int], wanted: Reason
) -> None:
    """Errors of the server come first, then those of the network, then those of this host."""
    errors = iter(numbers)

    def connect(*_: Any) -> None:
        raise OSError(next(errors), "injected")

    def getaddrinfo(*_: Any) -> list[tuple[Any, ...]]:
        addresses = [("192.0.2.1", 80), ("192.0.2.2", 80)]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]

    monkeypatch.setattr(TimedSocket, "connect_within", connect)

    assert reason(run("http://model.test/", getaddrinfo=getaddrinfo)) is wanted


def test_the_next_address_is_tried(serve: Serve) -> None:
    """The first address of the host refuses, the second one accepts."""
    server = serve(always(http_response()), host="127.0.0.1")

    def getaddrinfo(*_: Any) -> list[tuple[Any, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, server.port))
            for address in ("127.0.0.9", "127.0.0.1")
        ]

    assert reason(run(server.url(host="model"), getaddrinfo=getaddrinfo)) is None


def test_an_address_that_drops_packets_leaves_time_for_the_next(serve: Serve) -> None:
    """Half of the time goes to the first of two addresses. The second one accepts."""
    server = serve(always(http_response()))
    with full_accept_queue() as full_address:

        def getaddrinfo(*_: Any) -> list[tuple[Any, ...]]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
                for address in (full_address, ("127.0.0.1", server.port))
            ]

        result = run_median(server.url(host="model"), getaddrinfo=getaddrinfo, timeout="300ms")

    assert reason(result) is None
    assert result.phases[Phase.CONNECT] == pytest.approx(0.15, abs=0.05)


def test_a_full_listen_queue_is_a_connect_timeout() -> None:
    """A server that is too busy to accept connections."""
    with full_accept_queue() as address:
        result = run_median(f"http://127.0.0.1:{address[1]}/", timeout="150ms")

    assert reason(result) is Reason.CONNECT_TIMEOUT
    assert set(result.phases) == {Phase.CONNECT}
    assert result.latency == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize(
    ("networks", "host"),
    [
        ({"deny": ["127.0.0.0/8"]}, "127.0.0.1"),
        ({"deny": ["127.0.0.0/8"]}, "[::ffff:127.0.0.1]"),
        ({"deny": ["127.0.0.0/8"]}, "2130706433"),
        ({"deny": ["127.0.0.0/8"]}, "model.test"),
        ({"deny": ["127.0.0.0/8"], "allow": ["127.0.0.1/32"]}, "127.0.0.1"),
        ({"allow": ["10.0.0.0/8"]}, "127.0.0.1"),
        ({}, "169.254.169.254"),
        ({}, "[::ffff:169.254.169.254]"),
        ({}, "[fe80::1]"),
    ],
)
def test_a_denied_address(networks: dict[str, Any], host: str, serve: Serve) -> None:
    """In any notation and for any name. No connection is opened."""
    server = serve(always(http_response()))

    result = run(
        f"http://{host}:{server.port}/",
        networks=networks,
        getaddrinfo=fake_getaddrinfo(model_test="127.0.0.1"),
    )

    assert reason(result) is Reason.DENIED
    assert "networks" in detail(result)
    assert server.connections == 0
    assert Phase.CONNECT not in result.phases


def test_a_redirect_to_a_denied_address(serve: Serve) -> None:
    """An endpoint cannot make the daemon access a cloud's metadata service."""
    moved = http_response(b"", "Location: http://169.254.169.254/latest/", status="302 Found")

    result = run(serve(always(moved)).url(), redirects=1)

    assert reason(result) is Reason.DENIED
    assert detail(result).endswith("do not permit 169.254.169.254")  # and not with a phase


def test_an_allowed_address_is_probed(serve: Serve) -> None:
    """An address in `allow`."""
    server = serve(always(http_response()))

    assert reason(run(server.url(), networks={"allow": ["127.0.0.0/8"]})) is None


def test_addresses_of_the_other_family_are_not_used(serve: Serve) -> None:
    """`ip_family: 6` does not fall back to IPv4."""
    server = serve(always(http_response()))
    prober = make_prober(server.url(host="localhost"), ip_family="6")

    assert reason(prober.run()) in (Reason.REFUSED, Reason.DNS)
    assert server.connections == 0
