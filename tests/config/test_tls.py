"""Certificates: what makes a context, and what is wrong with what does not."""

import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from probe.config.loader import ConfigError, load
from probe.config.schema import Tls
from probe.config.tls import TlsError, client_ssl_context


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority, two certificates of it, and files that are no good."""
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
    """The protocol that client and server agree on; the server demands a certificate."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pki / "one.pem", pki / "one.key")
    server.load_verify_locations(pki / "ca.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    server.set_alpn_protocols(["h2", "http/1.1"])
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs, server.wrap_socket(theirs, server_side=True) as connection:
            connection.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with ours, client.wrap_socket(ours, server_hostname="localhost") as connection:
            connection.sendall(b"x")
            return connection.selected_alpn_protocol()
    finally:
        thread.join()


def test_a_private_authority_and_a_client_certificate(pki: Path) -> None:
    """The context trusts the one, shows the other, and speaks HTTP/1.1."""
    tls = Tls(ca_file=pki / "ca.pem", cert_file=pki / "two.pem", key_file=pki / "two.key")

    assert handshake(client_ssl_context(tls, {}), pki) == "http/1.1"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_bundle_of_the_environment(pki: Path, variable: str) -> None:
    """The usual variables say whom to trust by default; a bundle of one is counted easily."""
    context = client_ssl_context(Tls(), {variable: str(pki / "ca.pem")})

    assert len(context.get_ca_certs()) == 1


def test_the_public_authorities_are_trusted_by_default() -> None:
    """Without any setting, the certificates of the web are good."""
    context = client_ssl_context(Tls(), {})

    assert len(context.get_ca_certs()) > 50
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_versions_and_verification() -> None:
    """The oldest version and the absence of verification are what the settings say."""
    tls = Tls.model_validate({"min_version": "TLS13", "insecure_skip_verify": True})

    context = client_ssl_context(tls, {})

    assert context.minimum_version == ssl.TLSVersion.TLSv1_3
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize(
    ("files", "said"),
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
            ("key_file", "the private key needs a passphrase; give one without"),
        ),
    ],
)
def test_files_that_make_no_context(
    pki: Path, files: dict[str, str], said: tuple[str, str]
) -> None:
    """The file at fault is named by its key, and nobody is asked for a passphrase."""
    tls = Tls.model_validate({key: str(pki / name) for key, name in files.items()})

    with pytest.raises(TlsError) as caught:
        client_ssl_context(tls, {})

    assert (caught.value.key, str(caught.value)) == said


def test_a_bundle_of_the_environment_that_is_no_good(pki: Path) -> None:
    """The variable is named, as no key of the config is at fault."""
    with pytest.raises(TlsError) as caught:
        client_ssl_context(Tls(), {"SSL_CERT_FILE": str(pki / "empty.pem")})

    assert (caught.value.key, str(caught.value)) == (
        None,
        "no certificates (PEM) in $SSL_CERT_FILE",
    )


def test_what_is_wrong_with_a_certificate_is_said_at_its_place(pki: Path) -> None:
    """Also in the defaults, once for many probes, and beside other mistakes."""
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
    "request_of",
    ["url: HTTPS://localhost/", "url: '${env:URL}'", "url: http://localhost/, redirects: 1"],
)
def test_whoever_may_speak_tls_has_certificates_that_are_tried_out(
    pki: Path, request_of: str
) -> None:
    """In whatever case the scheme is written, whatever a reference comes to stand for, and where
    a redirect may lead; a request over plain HTTP alone does without.
    """
    file = pki / "probe.yml"
    file.write_text(f"probes: [{{name: a, {request_of}, tls: {{ca_file: empty.pem}}}}]")

    with pytest.raises(ConfigError, match="no certificates"):
        load(file, environ={"URL": "http://localhost/"})

    file.write_text("probes: [{name: a, url: http://localhost/, tls: {ca_file: empty.pem}}]")
    assert load(file, environ={}).probes
