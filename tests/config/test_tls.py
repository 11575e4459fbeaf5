"""TLS contexts of clients, and the errors for files that make none."""

import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from probe.config.errors import ConfigError, TlsError
from probe.config.loader import load
from probe.config.schema import TlsModel
from probe.config.settings import Tls
from probe.config.tls import client_ssl_context


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a directory with a CA, two certificates with keys, and invalid files."""
    here = tmp_path_factory.mktemp("pki")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(here / "ca.pem")
    for name in ("one", "two"):
        issued = authority.issue_cert("localhost")
        issued.private_key_pem.write_to_path(here / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(here / f"{name}.pem")
    (here / "empty.pem").write_text("")
    key = serialization.load_pem_private_key((here / "one.key").read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    (here / "locked.key").write_bytes(locked)
    return here


def handshake(client: ssl.SSLContext, pki: Path) -> str | None:
    """Return the negotiated protocol (ALPN) with a server that requires a certificate."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pki / "one.pem", pki / "one.key")
    server.load_verify_locations(pki / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    server.set_alpn_protocols(["h2", "http/1.1"])
    client_socket, server_socket = socket.socketpair()

    def serve() -> None:
        with server_socket, server.wrap_socket(server_socket, server_side=True) as connection:
            connection.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with (
            client_socket,
            client.wrap_socket(client_socket, server_hostname="localhost") as connection,
        ):
            connection.sendall(b"x")
            return connection.selected_alpn_protocol()
    finally:
        thread.join()


def read_tls(**keys: Any) -> Tls:
    """Return the settings of these keys of `tls`."""
    tls: Tls = TlsModel.model_validate(keys).to_settings()
    return tls


def test_private_ca_and_client_certificate(pki: Path) -> None:
    """The context trusts the CA, sends the certificate and offers HTTP/1.1."""
    tls = read_tls(ca_file=pki / "ca.pem", cert_file=pki / "two.pem", key_file=pki / "two.key")

    assert handshake(client_ssl_context(tls, {}), pki) == "http/1.1"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_ca_bundle_of_the_environment(pki: Path, variable: str) -> None:
    """The usual environment variables replace the default bundle."""
    context = client_ssl_context(read_tls(), {variable: str(pki / "ca.pem")})

    assert len(context.get_ca_certs()) == 1


def test_public_cas_are_trusted_by_default() -> None:
    """Without settings, the bundle of certifi is trusted and hosts are verified."""
    context = client_ssl_context(read_tls(), {})

    assert len(context.get_ca_certs()) > 50
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_min_version_and_insecure_skip_verify() -> None:
    """min_version and insecure_skip_verify are applied."""
    tls = read_tls(min_version="TLS13", insecure_skip_verify=True)

    context = client_ssl_context(tls, {})

    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"ca_file": "empty.pem"}, ("ca_file", "no certificates (PEM) in the file")),
        ({"ca_file": "one.key"}, ("ca_file", "no certificates (PEM) in the file")),
        (
            {"cert_file": "one.key", "key_file": "one.key"},
            ("cert_file", "no certificates (PEM) in the file"),
        ),
        ({"cert_file": "one.pem"}, ("cert_file", "no private key (PEM) in the file")),
        (
            {"cert_file": "one.pem", "key_file": "empty.pem"},
            ("key_file", "no private key (PEM) in the file"),
        ),
        (
            {"cert_file": "one.pem", "key_file": "two.key"},
            ("key_file", "the private key is not that of the certificate"),
        ),
        (
            {"cert_file": "one.pem", "key_file": "locked.key"},
            ("key_file", "the private key has a passphrase; use a key without one"),
        ),
    ],
)
def test_invalid_files(pki: Path, files: dict[str, str], expected: tuple[str, str]) -> None:
    """The error has the key of the file at fault. OpenSSL does not prompt for a passphrase."""
    tls = read_tls(**{key: pki / name for key, name in files.items()})

    with pytest.raises(TlsError) as caught:
        client_ssl_context(tls, {})

    assert (caught.value.key, str(caught.value)) == expected


def test_invalid_ca_bundle_of_the_environment(pki: Path) -> None:
    """The error names the environment variable, and no key."""
    with pytest.raises(TlsError) as caught:
        client_ssl_context(read_tls(), {"SSL_CERT_FILE": str(pki / "empty.pem")})

    assert (caught.value.key, str(caught.value)) == (
        None,
        "no certificates (PEM) in $SSL_CERT_FILE",
    )


def test_certificate_errors_have_locations(pki: Path) -> None:
    """An error in the defaults is reported once. Other errors are reported as well."""
    file = pki / "probe.yml"
    file.write_text(
        "defaults:\n"
        "  tls: {cert_file: one.pem, key_file: two.key}\n"
        "probes:\n"
        "  - {name: a, url: https://localhost/}\n"
        "  - {name: b, url: https://localhost/}\n"
        "  - {name: c, url: https://localhost/, interval: 10, tls: {ca_file: empty.pem}}\n"
    )

    with pytest.raises(ConfigError) as caught:
        load(file, environ={})

    assert [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems] == [
        '2:39: defaults.tls.key_file: the private key is not that of the certificate: "two.key"',
        "6:50: probes[2].interval: a duration needs a unit; write 10s",
        '6:69: probes[2].tls.ca_file: no certificates (PEM) in the file: "empty.pem"',
    ]


@pytest.mark.parametrize(
    "url_and_redirects",
    ["url: HTTPS://localhost/", "url: '${env:URL}'", "url: http://localhost/, redirects: 1"],
)
def test_certificates_are_tried_if_a_probe_may_need_tls(pki: Path, url_and_redirects: str) -> None:
    """A scheme in capitals, a reference in the URL or redirects may lead to TLS. Plain HTTP alone
    needs no certificates.
    """
    file = pki / "probe.yml"
    file.write_text(f"probes: [{{name: a, {url_and_redirects}, tls: {{ca_file: empty.pem}}}}]")

    with pytest.raises(ConfigError, match="no certificates"):
        load(file, environ={"URL": "http://localhost/"})

    file.write_text("probes: [{name: a, url: http://localhost/, tls: {ca_file: empty.pem}}]")
    assert load(file, environ={}).probes
