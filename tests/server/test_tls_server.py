"""TLS of the server: certificates, client certificates, versions and stalled handshakes."""

import gc
import os
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
import requests
import trustme
from uvicorn.protocols.http.h11_impl import H11Protocol

from probe.server.acceptor import MAX_HANDSHAKES
from probe.server.connection_protocol import ConnectionProtocol
from tests.commands import running
from tests.server.http_server_fixture import HttpServer, bcrypt_hash, http_server
from tests.server.page_fixtures import wait_until

pytestmark = pytest.mark.timing

SERVER_CA = trustme.CA()
CLIENT_CA = trustme.CA()


def issue(directory: Path, name: str = "127.0.0.1") -> trustme.LeafCert:
    """Write a new certificate of the server, and its key, into a directory."""
    leaf = SERVER_CA.issue_cert("127.0.0.1", name)
    leaf.cert_chain_pems[0].write_to_path(str(directory / "cert.pem"))
    leaf.private_key_pem.write_to_path(str(directory / "key.pem"))
    return leaf


def config(directory: Path, more: str = "") -> Path:
    """Write a web config with a certificate and `more` lines of `tls_server_config`."""
    issue(directory)
    CLIENT_CA.cert_pem.write_to_path(str(directory / "clients.pem"))
    path = directory / "web.yml"
    path.write_text(f"tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n{more}")
    return path


REQUIRED = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.pem\n"
IF_GIVEN = "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: clients.pem\n"


def client(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    SERVER_CA.configure_trust(context)
    if certificate:
        certificate.configure_cert(context)
    return context


def certificate_of(site: HttpServer) -> bytes:
    """Return the server's certificate from a new handshake."""
    with site.connect() as raw, client().wrap_socket(raw, server_hostname="127.0.0.1") as tls:
        certificate = tls.getpeercert(binary_form=True)
        assert certificate
        return certificate


def der(leaf: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def get(site: HttpServer, context: ssl.SSLContext, more: bytes = b"") -> bytes:
    """Return the body of `/`; raises OSError if the server rejects the client."""
    with site.connect() as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more + b"\r\n")
        received = b""
        while data := tls.recv(65536):
            received += data
        if not received:
            raise ConnectionResetError
        return received.rpartition(b"\r\n")[2]


def test_a_renewed_certificate_is_used_in_the_next_handshake(tmp_path: Path) -> None:
    """A certificate that is renewed on disk needs no restart, and open connections stay open."""
    with http_server(config(tmp_path)) as site:
        before = certificate_of(site)
        with site.connect() as raw, client().wrap_socket(raw, server_hostname="127.0.0.1") as old:
            assert certificate_of(site) == before
            renewed = der(issue(tmp_path))
            assert certificate_of(site) == renewed != before
            old.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert old.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_certificates_are_renewed_through_a_symlink(tmp_path: Path) -> None:
    """Kubernetes replaces a symlink to the directory of a mounted secret."""
    certificates = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        config(tmp_path / name)
        certificates.append(der(issue(tmp_path / name)))
        for file in (tmp_path / name).iterdir():
            os.utime(file, (0, 0))
    (tmp_path / "..data").symlink_to("one")
    for name in ("web.yml", "cert.pem", "key.pem"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    with http_server(tmp_path / "web.yml") as site:
        assert certificate_of(site) == certificates[0]
        (tmp_path / "..new").symlink_to("two")
        (tmp_path / "..new").replace(tmp_path / "..data")
        assert certificate_of(site) == certificates[1]


def test_half_a_renewal_changes_nothing(tmp_path: Path) -> None:
    """While only one of the new certificate and key exists, the old pair is used."""
    with http_server(config(tmp_path)) as site:
        before = certificate_of(site)
        key = (tmp_path / "key.pem").read_bytes()
        renewed = issue(tmp_path)
        new_key = (tmp_path / "key.pem").read_bytes()
        (tmp_path / "key.pem").write_bytes(key)
        assert certificate_of(site) == before
        (tmp_path / "key.pem").write_bytes(new_key)
        assert certificate_of(site) == der(renewed)


def test_tls_cannot_be_disabled_at_run_time(tmp_path: Path) -> None:
    """A web config that loses its TLS section does not make the server accept plain HTTP."""
    path = config(tmp_path)
    with http_server(path) as site:
        path.write_text("basic_auth_users: {}\n")
        assert get(site, client()) == b"False "


@pytest.mark.parametrize("less", ["", IF_GIVEN, REQUIRED])
def test_client_certificates_stay_required(tmp_path: Path, less: str) -> None:
    """A web config that requires less than before does not admit other clients."""
    path = config(tmp_path, f'{REQUIRED}  client_allowed_sans: ["prometheus.example"]\n')
    with http_server(path) as site:
        config(tmp_path, less)
        assert get(site, client(CLIENT_CA.issue_cert("prometheus.example"))).startswith(b"True")
        assert b"`client_allowed_sans`" in get(site, client(CLIENT_CA.issue_cert("other.example")))
        with pytest.raises(OSError, match=r"(?i)alert|reset|broken|^$|eof"):
            get(site, client())


def test_clients_with_a_certificate_stay_authenticated(tmp_path: Path) -> None:
    """A web config that no longer requests certificates is rejected at run time."""
    path = config(tmp_path, IF_GIVEN)
    with http_server(path) as site:
        config(tmp_path)
        assert get(site, client(CLIENT_CA.issue_cert("a.example"))) == b"True a.example"


@pytest.mark.parametrize("more", [REQUIRED, IF_GIVEN])
def test_a_client_with_a_certificate_is_authenticated(tmp_path: Path, more: str) -> None:
    """Without users in the config, a verified certificate names the user."""
    with http_server(config(tmp_path, more)) as site:
        certificate = CLIENT_CA.issue_cert("prometheus.example", common_name="prometheus")
        assert get(site, client(certificate)) == b"True prometheus"
        assert get(site, client(CLIENT_CA.issue_cert("a.example"))) == b"True a.example"


def test_required_client_certificate(tmp_path: Path) -> None:
    """A client without a certificate, or with one of another CA, is rejected."""
    with http_server(config(tmp_path, REQUIRED)) as site:
        for certificate in (None, trustme.CA().issue_cert("prometheus.example")):
            with pytest.raises(OSError, match=r"(?i)alert|reset|broken|^$|eof"):
                get(site, client(certificate))


def test_optional_client_certificate(tmp_path: Path) -> None:
    """With VerifyClientCertIfGiven none is needed, and one of another CA is rejected."""
    with http_server(config(tmp_path, IF_GIVEN)) as site:
        assert get(site, client()) == b"False "
        with pytest.raises(OSError, match=r"(?i)alert|reset|broken|^$|eof"):
            get(site, client(trustme.CA().issue_cert("prometheus.example")))


@pytest.mark.parametrize(
    ("allowed", "name"),
    [
        ("prometheus.example", "prometheus.example"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("ops@example.com", "ops@example.com"),
    ],
)
def test_only_certificates_with_an_allowed_name(tmp_path: Path, allowed: str, name: str) -> None:
    """Of the clients with a certificate of the CA only those with an allowed name are admitted."""
    more = f'{REQUIRED}  client_allowed_sans: ["{allowed}"]\n'
    with http_server(config(tmp_path, more)) as site:
        assert get(site, client(CLIENT_CA.issue_cert(name))).startswith(b"True")
        other = client(CLIENT_CA.issue_cert("other.example", common_name=allowed))
        assert b"no name in the client's certificate is one of `client_al" in get(site, other)


def test_users_need_a_password_beside_a_certificate(tmp_path: Path) -> None:
    """A certificate opens the connection; it does not replace a password."""
    path = config(tmp_path, REQUIRED)
    path.write_text(path.read_text() + f"basic_auth_users:\n  alice: {bcrypt_hash('x')}\n")
    context = client(CLIENT_CA.issue_cert("prometheus.example"))
    with http_server(path) as site:
        assert get(site, context) == b"a user and a password are needed\n"
        assert get(site, context, b"Authorization: Basic YWxpY2U6eA==\r\n") == b"True alice"


@pytest.mark.parametrize(
    ("more", "version", "accepted"),
    [
        ("", ssl.TLSVersion.TLSv1_2, True),
        ("  min_version: TLS13\n", ssl.TLSVersion.TLSv1_2, False),
        ("  min_version: TLS13\n", ssl.TLSVersion.TLSv1_3, True),
        ("  max_version: TLS12\n", ssl.TLSVersion.TLSv1_3, False),
    ],
)
def test_versions(tmp_path: Path, more: str, version: ssl.TLSVersion, accepted: bool) -> None:
    """Only the versions of the web config are accepted."""
    context = client()
    context.minimum_version = context.maximum_version = version
    with http_server(config(tmp_path, more)) as site:
        if accepted:
            assert get(site, context) == b"False "
        else:
            with pytest.raises(ssl.SSLError, match=r"(?i)protocol"):
                get(site, context)


def test_cipher_suites(tmp_path: Path) -> None:
    """In TLS 1.2 only the named suites are used, in the server's order."""
    names = (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    )
    more = f"  max_version: TLS12\n  cipher_suites: [{', '.join(names)}]\n"
    with http_server(config(tmp_path, more)) as site:
        for offered in ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305", "ALL"):
            context = client()
            context.set_ciphers(offered)
            with (
                site.connect() as raw,
                context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
            ):
                accepted = tls.cipher()
                assert accepted
                assert accepted[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
        context = client()
        context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
        with pytest.raises(ssl.SSLError, match=r"(?i)handshake|eof"):
            get(site, context)


# The beginning of a ClientHello; nothing follows.
HELLO = b"\x16\x03\x01\x02\x00\x01\x00"


def test_handshakes_in_progress_are_limited(tmp_path: Path) -> None:
    """Of many stalled handshakes the oldest are aborted, and other clients are served."""
    with http_server(config(tmp_path)) as site, ExitStack() as stack:
        connections = [
            stack.enter_context(closing(site.connect())) for _ in range(MAX_HANDSHAKES + 20)
        ]
        for connection in connections:
            connection.sendall(HELLO)
        time.sleep(1)
        assert get(site, client()) == b"False "
        for connection in connections[:20]:
            connection.settimeout(5)  # while the handshake itself may take twice as long
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""
        connections[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            connections[-1].recv(1)


def begin_handshake(site: HttpServer) -> None:
    with closing(site.connect()) as raw:
        raw.sendall(HELLO)
        time.sleep(0.1)


def reset(site: HttpServer) -> None:
    """Send a request, and disconnect before the response has been read."""
    with site.connect() as raw, client().wrap_socket(raw, server_hostname="127.0.0.1") as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        tls.recv(1)
        time.sleep(0.1)


@pytest.mark.parametrize(
    "visit", [begin_handshake, certificate_of, lambda site: get(site, client()), reset]
)
def test_a_connection_leaves_nothing_behind(
    tmp_path: Path, visit: Callable[[HttpServer], object]
) -> None:
    """Its objects are freed when it ends, without the garbage collector."""
    kinds = (ssl.SSLObject, ConnectionProtocol, H11Protocol)
    with http_server(config(tmp_path)) as site:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                visit(site)
            wait_until(lambda: not [item for item in gc.get_objects() if type(item) in kinds])
        finally:
            gc.enable()


def test_stalled_handshakes_take_little_memory(tmp_path: Path) -> None:
    """Three rounds of 256 connections that start a handshake take less than 30 MB."""

    def peak_kilobytes() -> int:
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    with running(
        "--url=http://127.0.0.1:9/", "--interval=1h", f"--web.config.file={config(tmp_path)}"
    ) as daemon:
        port = int(daemon.url.rpartition(":")[2])
        time.sleep(1)
        before = peak_kilobytes()
        for _ in range(3):
            with ExitStack() as stack:
                for _ in range(256):
                    raw = socket.create_connection(("127.0.0.1", port), timeout=10)
                    stack.enter_context(closing(raw)).sendall(HELLO)
                time.sleep(1)
        assert peak_kilobytes() - before < 30_000


def test_silent_connections_do_not_delay_others(tmp_path: Path) -> None:
    """With 300 connections that never start a handshake, a request takes less than a second."""
    with http_server(config(tmp_path)) as site, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(closing(site.connect()))
        start = time.monotonic()
        assert get(site, client()) == b"False "
        assert time.monotonic() - start < 1


def test_a_stalled_handshake_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection whose handshake does not start, or does not continue, is closed."""
    monkeypatch.setattr("probe.server.connection_protocol.REQUEST_TIMEOUT_SECONDS", 0.2)
    with http_server(config(tmp_path)) as site, site.connect() as silent, site.connect() as stalled:
        stalled.sendall(HELLO)
        assert silent.recv(1) == b""
        assert stalled.recv(1) == b""


def test_plain_http_gets_an_error(tmp_path: Path) -> None:
    """A client that uses http:// gets a response that says so at once, and nothing else."""
    with http_server(config(tmp_path)) as site:
        start = time.monotonic()
        response = site.exchange(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert time.monotonic() - start < 0.4
    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert response.endswith(b"\r\n\r\nTLS is required: write https://\n")


def test_daemon_uses_tls(tmp_path: Path) -> None:
    """With `run --web.config.file` metrics are served with TLS only."""
    path = config(tmp_path)
    SERVER_CA.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with running("--url=http://127.0.0.1:9/", f"--web.config.file={path}") as daemon:
        url = daemon.url.replace("http:", "https:")
        response = requests.get(f"{url}/metrics", verify=str(tmp_path / "ca.pem"), timeout=10)
        assert response.status_code == 200
        assert daemon.get("/metrics").status_code == 400
