"""TLS of the server: certificates that change, clients that have to show one, and stalls."""

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
from probe.server.client_protocol import ClientProtocol
from tests.commands import running
from tests.server.http_server_fixture import Door, door, hashed
from tests.server.page_fixtures import wait_until

OURS = trustme.CA()
CLIENTS = trustme.CA()


def issue(directory: Path, name: str = "127.0.0.1") -> trustme.LeafCert:
    """Put a certificate of the server into a directory."""
    leaf = OURS.issue_cert("127.0.0.1", name)
    leaf.cert_chain_pems[0].write_to_path(str(directory / "cert.pem"))
    leaf.private_key_pem.write_to_path(str(directory / "key.pem"))
    return leaf


def config(directory: Path, more: str = "") -> Path:
    """A web config with a certificate, and more lines of `tls_server_config`."""
    issue(directory)
    CLIENTS.cert_pem.write_to_path(str(directory / "clients.pem"))
    path = directory / "web.yml"
    path.write_text(f"tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n{more}")
    return path


REQUIRED = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.pem\n"
IF_GIVEN = "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: clients.pem\n"


def client(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    OURS.configure_trust(context)
    if certificate:
        certificate.configure_cert(context)
    return context


def certificate_of(site: Door) -> bytes:
    """What the server shows in a new handshake."""
    with site.connect() as raw, client().wrap_socket(raw, server_hostname="127.0.0.1") as tls:
        shown = tls.getpeercert(binary_form=True)
        assert shown
        return shown


def der(leaf: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def get(site: Door, context: ssl.SSLContext, more: bytes = b"") -> bytes:
    """The body of `/`; raises OSError where the server does not want us."""
    with site.connect() as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more + b"\r\n")
        received = b""
        while data := tls.recv(65536):
            received += data
        if not received:
            raise ConnectionResetError
        return received.rpartition(b"\r\n")[2]


def test_a_new_certificate_is_shown_in_the_next_handshake(tmp_path: Path) -> None:
    """A certificate that is renewed on disk needs no restart, and no connection is dropped."""
    with door(config(tmp_path)) as site:
        before = certificate_of(site)
        with site.connect() as raw, client().wrap_socket(raw, server_hostname="127.0.0.1") as old:
            assert certificate_of(site) == before
            renewed = der(issue(tmp_path))
            assert certificate_of(site) == renewed != before
            old.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert old.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_certificates_change_with_a_symlink(tmp_path: Path) -> None:
    """Kubernetes swaps a link to the directory of a mounted secret."""
    shown = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        config(tmp_path / name)
        shown.append(der(issue(tmp_path / name)))
        for file in (tmp_path / name).iterdir():
            os.utime(file, (0, 0))
    (tmp_path / "..data").symlink_to("one")
    for name in ("web.yml", "cert.pem", "key.pem"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    with door(tmp_path / "web.yml") as site:
        assert certificate_of(site) == shown[0]
        (tmp_path / "..new").symlink_to("two")
        (tmp_path / "..new").replace(tmp_path / "..data")
        assert certificate_of(site) == shown[1]


def test_half_a_renewal_changes_nothing(tmp_path: Path) -> None:
    """While the new certificate is there and its key is not, the old pair is shown."""
    with door(config(tmp_path)) as site:
        before = certificate_of(site)
        key = (tmp_path / "key.pem").read_bytes()
        renewed = issue(tmp_path)
        new_key = (tmp_path / "key.pem").read_bytes()
        (tmp_path / "key.pem").write_bytes(key)
        assert certificate_of(site) == before
        (tmp_path / "key.pem").write_bytes(new_key)
        assert certificate_of(site) == der(renewed)


def test_tls_does_not_end_by_itself(tmp_path: Path) -> None:
    """A web config that loses its TLS while the daemon runs does not make it speak in the clear."""
    path = config(tmp_path)
    with door(path) as site:
        path.write_text("basic_auth_users: {}\n")
        assert get(site, client()) == b"False "


@pytest.mark.parametrize("less", ["", IF_GIVEN, REQUIRED])
def test_clients_do_not_become_strangers(tmp_path: Path, less: str) -> None:
    """While a file that asks for certificates of certain clients is written, no other is let in."""
    path = config(tmp_path, f'{REQUIRED}  client_allowed_sans: ["prometheus.example"]\n')
    with door(path) as site:
        config(tmp_path, less)
        assert get(site, client(CLIENTS.issue_cert("prometheus.example"))).startswith(b"True")
        assert b"`client_allowed_sans`" in get(site, client(CLIENTS.issue_cert("other.example")))
        with pytest.raises(OSError, match=r"(?i)alert|reset|broken|^$|eof"):
            get(site, client())


def test_users_do_not_become_strangers(tmp_path: Path) -> None:
    """While a file that knows its users by their certificates is written, they stay users."""
    path = config(tmp_path, IF_GIVEN)
    with door(path) as site:
        config(tmp_path)
        assert get(site, client(CLIENTS.issue_cert("a.example"))) == b"True a.example"


@pytest.mark.parametrize("more", [REQUIRED, IF_GIVEN])
def test_a_client_with_a_certificate_is_a_user(tmp_path: Path, more: str) -> None:
    """Where there are no users, a verified certificate says who is asking."""
    with door(config(tmp_path, more)) as site:
        shown = CLIENTS.issue_cert("prometheus.example", common_name="prometheus")
        assert get(site, client(shown)) == b"True prometheus"
        assert get(site, client(CLIENTS.issue_cert("a.example"))) == b"True a.example"


def test_who_has_to_show_a_certificate(tmp_path: Path) -> None:
    """Without one, or with one of a stranger, there is no answer."""
    with door(config(tmp_path, REQUIRED)) as site:
        for shown in (None, trustme.CA().issue_cert("prometheus.example")):
            with pytest.raises(OSError, match=r"(?i)alert|reset|broken|^$|eof"):
                get(site, client(shown))


def test_a_certificate_if_there_is_one(tmp_path: Path) -> None:
    """With VerifyClientCertIfGiven nobody needs one, and a stranger's is refused."""
    with door(config(tmp_path, IF_GIVEN)) as site:
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
    """An authority may vouch for many, of whom only some are let in; others are told why not."""
    more = f'{REQUIRED}  client_allowed_sans: ["{allowed}"]\n'
    with door(config(tmp_path, more)) as site:
        assert get(site, client(CLIENTS.issue_cert(name))).startswith(b"True")
        other = client(CLIENTS.issue_cert("other.example", common_name=allowed))
        assert b"no name in the client's certificate is one of `client_al" in get(site, other)


def test_users_need_their_password_beside_a_certificate(tmp_path: Path) -> None:
    """A certificate opens the connection; where there are users, one of them has to be asking."""
    path = config(tmp_path, REQUIRED)
    path.write_text(path.read_text() + f"basic_auth_users:\n  alice: {hashed('x')}\n")
    shown = client(CLIENTS.issue_cert("prometheus.example"))
    with door(path) as site:
        assert get(site, shown) == b"a user and a password are needed\n"
        assert get(site, shown, b"Authorization: Basic YWxpY2U6eA==\r\n") == b"True alice"


@pytest.mark.parametrize(
    ("more", "version", "spoken"),
    [
        ("", ssl.TLSVersion.TLSv1_2, True),
        ("  min_version: TLS13\n", ssl.TLSVersion.TLSv1_2, False),
        ("  min_version: TLS13\n", ssl.TLSVersion.TLSv1_3, True),
        ("  max_version: TLS12\n", ssl.TLSVersion.TLSv1_3, False),
    ],
)
def test_versions(tmp_path: Path, more: str, version: ssl.TLSVersion, spoken: bool) -> None:
    """Only the versions that the web config names are spoken."""
    context = client()
    context.minimum_version = context.maximum_version = version
    with door(config(tmp_path, more)) as site:
        if spoken:
            assert get(site, context) == b"False "
        else:
            with pytest.raises(ssl.SSLError, match=r"(?i)protocol"):
                get(site, context)


def test_cipher_suites(tmp_path: Path) -> None:
    """Of TLS 1.2 only the named suites are spoken, in the server's order."""
    names = (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    )
    more = f"  max_version: TLS12\n  cipher_suites: [{', '.join(names)}]\n"
    with door(config(tmp_path, more)) as site:
        for offered in ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305", "ALL"):
            context = client()
            context.set_ciphers(offered)
            with (
                site.connect() as raw,
                context.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
            ):
                spoken = tls.cipher()
                assert spoken
                assert spoken[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
        context = client()
        context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
        with pytest.raises(ssl.SSLError, match=r"(?i)handshake|eof"):
            get(site, context)


HELLO = b"\x16\x03\x01\x02\x00\x01\x00"
"""What begins a handshake that is never gone on with."""


def test_few_handshakes_at_once(tmp_path: Path) -> None:
    """Of many that are begun and not gone on with the oldest are given up, and others get in."""
    with door(config(tmp_path)) as site, ExitStack() as stack:
        begun = [stack.enter_context(closing(site.connect())) for _ in range(MAX_HANDSHAKES + 20)]
        for one in begun:
            one.sendall(HELLO)
        time.sleep(1)
        assert get(site, client()) == b"False "
        for one in begun[:20]:
            one.settimeout(5)  # while the handshake itself may take twice as long
            with suppress(ConnectionResetError):
                assert one.recv(1) == b""
        begun[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            begun[-1].recv(1)


def begin(site: Door) -> None:
    with closing(site.connect()) as raw:
        raw.sendall(HELLO)
        time.sleep(0.1)


def reset(site: Door) -> None:
    """Ask, and go before the answer has been read."""
    with site.connect() as raw, client().wrap_socket(raw, server_hostname="127.0.0.1") as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        tls.recv(1)
        time.sleep(0.1)


@pytest.mark.parametrize("visit", [begin, certificate_of, lambda site: get(site, client()), reset])
def test_a_connection_leaves_nothing_behind(
    tmp_path: Path, visit: Callable[[Door], object]
) -> None:
    """Its buffers are free as soon as it is over; a full collection may be hours away."""
    kinds = (ssl.SSLObject, ClientProtocol, H11Protocol)
    with door(config(tmp_path)) as site:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                visit(site)
            wait_until(lambda: not [it for it in gc.get_objects() if type(it) in kinds])
        finally:
            gc.enable()


def test_strangers_take_little_memory(tmp_path: Path) -> None:
    """Rounds of connections that begin to speak TLS, and no more, take less than 30 MB."""

    def taken() -> int:
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    with running(
        "--url=http://127.0.0.1:9/", "--interval=1h", f"--web.config.file={config(tmp_path)}"
    ) as daemon:
        port = int(daemon.url.rpartition(":")[2])
        time.sleep(1)
        before = taken()
        for _ in range(3):
            with ExitStack() as stack:
                for _ in range(256):
                    one = socket.create_connection(("127.0.0.1", port), timeout=10)
                    stack.enter_context(closing(one)).sendall(HELLO)
                time.sleep(1)
        assert taken() - before < 30_000


def test_stalled_handshakes_block_nobody(tmp_path: Path) -> None:
    """With 300 connections that never begin to speak TLS, a scrape takes less than a second."""
    with door(config(tmp_path)) as site, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(closing(site.connect()))
        began = time.monotonic()
        assert get(site, client()) == b"False "
        assert time.monotonic() - began < 1


def test_a_stalled_handshake_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection whose handshake does not start, or does not continue, is closed."""
    monkeypatch.setattr("probe.server.client_protocol.REQUEST_TIMEOUT_SECONDS", 0.5)
    with door(config(tmp_path)) as site, site.connect() as silent, site.connect() as stalled:
        stalled.sendall(HELLO)
        assert silent.recv(1) == b""
        assert stalled.recv(1) == b""


def test_plain_http_is_told_to_speak_tls(tmp_path: Path) -> None:
    """Who writes http:// for https:// is told so at once, and learns nothing else."""
    with door(config(tmp_path)) as site:
        began = time.monotonic()
        answer = site.ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert time.monotonic() - began < 0.4
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"\r\n\r\nTLS is required: write https://\n")


def test_the_daemon_speaks_tls(tmp_path: Path) -> None:
    """`run --web.config.file` serves its metrics with TLS, and nothing in the clear."""
    path = config(tmp_path)
    OURS.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with running("--url=http://127.0.0.1:9/", f"--web.config.file={path}") as daemon:
        url = daemon.url.replace("http:", "https:")
        answer = requests.get(f"{url}/metrics", verify=str(tmp_path / "ca.pem"), timeout=10)
        assert answer.status_code == 200
        assert daemon.get("/metrics").status_code == 400
