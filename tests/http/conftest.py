"""Servers, certificates and pools that are closed at the end of a test."""

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
    """Start servers, each with a script."""
    servers: list[Server] = []

    def start(script: Script, **options: Any) -> Server:
        servers.append(Server(script, **options))
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
    """Certificate authority with its certificate in a file, for probes to trust."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.file = directory / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.file))

    @property
    def tls(self) -> dict[str, str]:
        """Config key `tls` of a probe that trusts this authority."""
        return {"ca_file": str(self.file)}

    def context(self, *names: str, **options: Any) -> ssl.SSLContext:
        """Return the context of a server with a certificate for `names`, loopback by default."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = self.authority.issue_cert(*(names or ("127.0.0.1", "localhost")), **options)
        certificate.configure_cert(context)
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))
