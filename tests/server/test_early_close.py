"""Clients that close the connection before they have read the whole response."""

import socket
import struct
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.server.http_server_fixture import bcrypt_hash, http_server

pytestmark = pytest.mark.timing

CLIENTS = 50


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.0\r\nAuthorization: Basic dTpwdw==\r\n\r\n", b"200"),
        (b"GET /nix HTTP/1.1\r\nHost: x\r\nAuthorization: Basic dTpwdw==\r\n\r\n", b"404"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"401"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", b"413"),
    ],
    ids=["1.0", "404", "401", "413"],
)
def test_an_early_close_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, request_: bytes, status: bytes, *, reset: bool
) -> None:
    """A client may close after the status line, by an ordinary close or by a reset."""
    users = tmp_path / "web.yml"
    users.write_text(f"basic_auth_users: {{u: '{bcrypt_hash('pw')}'}}")
    with http_server(users) as site:
        for _ in range(CLIENTS):
            with closing(site.connect()) as client:
                client.sendall(request_)
                assert client.recv(65536).split()[1] == status
                if reset:
                    linger = struct.pack("ii", 1, 0)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        time.sleep(0.1)
        with closing(HTTPConnection(site.host, timeout=10)) as other:
            other.request("GET", "/", headers={"Authorization": "Basic dTpwdw=="})
            assert other.getresponse().read() == b"True u"
    assert not caplog.records
