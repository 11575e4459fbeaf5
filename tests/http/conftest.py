"""Servers, certificates and pools that are gone when the test is."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from probe.clock import Clock
from probe.http.pool import ConnectionPool
from tests.raw_servers import Script, Server

Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server on a script."""
    servers: list[Server] = []

    def start(script: Script, **how: Any) -> Server:
        servers.append(Server(script, **how))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def pool() -> Iterator[ConnectionPool]:
    pool = ConnectionPool(Clock())
    yield pool
    pool.close()


class Authority:
    """A certificate authority, the file that a probe trusts it by, and contexts of servers."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.file = directory / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.file))

    @property
    def tls(self) -> dict[str, str]:
        """The key `tls` of a probe that trusts this authority."""
        return {"ca_file": str(self.file)}

    def context(self, *names: str, **how: Any) -> ssl.SSLContext:
        """Of a server with a certificate for these names (loopback, if there are none)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued = self.authority.issue_cert(*(names or ("127.0.0.1", "localhost")), **how)
        issued.configure_cert(context)
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))
