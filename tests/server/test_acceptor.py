"""Connections: the accept loop, and how bytes become requests."""

import gc
import socket
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import requests

from probe.server.connection_protocol import ConnectionProtocol
from probe.server.web_config_watch import WebConfig
from tests.server.http_server_fixture import http_server, read_until_closed
from tests.server.page_fixtures import wait_until
from tests.server.test_tls_server import client, config

pytestmark = pytest.mark.timing


def test_an_unexpected_exception_does_not_end_the_accept_loop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection is closed, the exception is logged, and later connections are served."""
    errors = [RuntimeError("injected")]
    get_settings = vars(WebConfig)["settings"].fget

    def failing_settings(config: WebConfig) -> object:
        if errors:
            raise errors.pop()
        return get_settings(config)

    with http_server() as site:
        monkeypatch.setattr(WebConfig, "settings", property(failing_settings))
        with closing(site.connect()) as client:
            assert read_until_closed(client) == b""
        assert requests.get(f"http://{site.host}/", timeout=5).status_code == 200
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "RuntimeError: injected" in caplog.text


REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST_REQUEST = b"GET /probe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("size", [1, 7, len(REQUEST) + 3, 1000])
def test_requests_may_be_split_and_pipelined(tmp_path: Path, size: int, tls: bool) -> None:
    """Requests are served in order, regardless of how many bytes arrive at a time."""
    stream = REQUEST * 3 + LAST_REQUEST
    with http_server(config(tmp_path) if tls else None) as site, ExitStack() as stack:
        connection = stack.enter_context(closing(site.connect()))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = client()
            connection = stack.enter_context(
                context.wrap_socket(connection, server_hostname="127.0.0.1")
            )
        for start in range(0, len(stream), size):
            connection.sendall(stream[start : start + size])
        responses = read_until_closed(connection)
    assert responses.count(b"HTTP/1.1 200 OK") == 4
    assert responses.count(b"False ") == 3
    assert responses.endswith(b"probed")


def test_a_client_that_disconnects_frees_its_connection() -> None:
    """Also while its request is in progress: the protocol objects do not stay in memory."""
    with http_server() as site:
        with closing(site.connect()) as connection:
            connection.sendall(b"GET /probe?wait HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: _count(ConnectionProtocol) == 1)
        site.release.set()
        wait_until(lambda: _count(ConnectionProtocol) == 0)


def _count(kind: type) -> int:
    return sum(type(item) is kind for item in gc.get_objects())
