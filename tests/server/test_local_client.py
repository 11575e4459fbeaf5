"""Clients on this machine see responses of models; a remote client cannot pose as one."""

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request

from probe.server.local_client import is_local
from tests.server.http_server_fixture import read_until_closed
from tests.server.page_fixtures import Site, overloaded, site_of

PAGES = ("/probes/model", "/api/v1/probes/model/results")
BODY = "no capacity"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site_of(tmp_path_factory.mktemp("site")) as site:
        site.add(**overloaded())
        yield site


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "host", ["localhost", "localhost:10115", "LocalHost", "127.0.0.1", "127.0.0.1:1", "[::1]:10115"]
)
def test_a_local_client_sees_the_response(site: Site, path: str, host: str) -> None:
    """A request to a loopback name from this machine gets body and headers."""
    page = site.get(path, headers={"Host": host}).text
    assert BODY in page
    assert "Retry-After" in page


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:10115",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example/localhost",
        "localhost@evil.example",
        "[::1].evil.example",
        "127.0.0.2",
        "localhost:",
        "localhost:x",
        "",
    ],
)
def test_dns_rebinding(site: Site, path: str, host: str) -> None:
    """A name that resolves to 127.0.0.1, as in DNS rebinding, gets no response of a model."""
    page = site.get(path, headers={"Host": host})
    assert page.status_code == 200
    assert BODY not in page.text
    assert "Retry-After" not in page.text
    assert "overloaded" in page.text


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "x-forwarded-proto",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "Via",
    ],
)
def test_a_request_through_a_proxy(site: Site, header: str) -> None:
    """A proxy on this machine forwards remote clients, also with a loopback name in `Host`."""
    for path in PAGES:
        page = site.get(path, headers={"Host": "localhost", header: "203.0.113.7"}).text
        assert BODY not in page
        assert "overloaded" in page


def test_http_1_0(site: Site) -> None:
    """Old nginx, before 1.29.7, uses HTTP/1.0, by default without any other sign of a proxy.

    Newer versions use HTTP/1.1: they are local clients unless they add a forwarding header, which
    docs/security.md requires.
    """
    address = urlsplit(site.url)
    for version, is_shown in (("1.0", False), ("1.1", True)):
        with socket.create_connection((address.hostname, address.port), timeout=10) as client:
            request = (
                f"GET {PAGES[1]} HTTP/{version}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            )
            client.sendall(request.encode())
            response = read_until_closed(client).decode()
        assert response.startswith("HTTP/1.1 200 ")
        assert (BODY in response) is is_shown


def test_responses_are_not_shared_with_remote_clients(tmp_path: Path) -> None:
    """A cached page of a local client is not the page of a remote one."""
    with site_of(tmp_path, max_page_age_seconds=60) as site:
        site.add(**overloaded())
        assert BODY in site.get(PAGES[0]).text
        assert BODY not in site.get(PAGES[0], headers={"Host": "evil.example"}).text
        assert BODY in site.get(PAGES[0]).text


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.0.2.1", False),
        ("192.0.2.1", False),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_addresses(address: str, expected: bool) -> None:
    """Only loopback addresses are local, also as IPv4-mapped IPv6 addresses."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "client": (address, 40000),
        "headers": [(b"host", b"localhost:10115")],
    }
    assert is_local(Request(scope)) is expected
    assert not is_local(Request({**scope, "client": None}))
    assert not is_local(Request({**scope, "headers": []}))
    twice = [(b"host", b"localhost"), (b"host", b"localhost")]
    assert not is_local(Request({**scope, "headers": twice}))
