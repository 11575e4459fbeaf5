"""`healthy`, `pause`, `resume` and `reload`: requests to the running daemon."""

import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import trustme
import yaml

from probe.cli.daemon_client import DaemonClient, DaemonError
from probe.cli.main import build_parser
from tests.commands import COMMAND, ROOT, Running, environment, invoke, running
from tests.raw_servers import Server, full_accept_queue, http_response, once

pytestmark = pytest.mark.timing

REFUSING = "http://127.0.0.1:1"
PASSWORD = "geheim-äöü: 1"


def config(directory: Path, **files: object) -> list[str]:
    """Write a config with one probe, and a web config; return the flags of a daemon."""
    path, web = directory / "probe.yml", directory / "web.yml"
    path.write_text(f"probes: [{{name: a, url: '{REFUSING}/', startup_grace: 0s}}]\n")
    web.write_text(yaml.safe_dump(files))
    flags = [f"--config.file={path}", "--web.enable-lifecycle"]
    return [*flags, f"--web.config.file={web}"] if files else flags


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a daemon without TLS and users."""
    with running(*config(tmp_path_factory.mktemp("daemon"))) as daemon:
        yield daemon


@contextmanager
def raw_server(respond: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve one connection at a time with `respond`; yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    respond(peer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_healthy(daemon: Running) -> None:
    """A healthy daemon is exit code 0 and one line, also behind a path and with a variable."""
    done = invoke("healthy", f"--daemon.url={daemon.url}/")
    assert (done.returncode, done.stdout, done.stderr) == (0, "inference-probe is healthy\n", "")
    assert invoke("healthy", environ={"INFERENCE_PROBE_DAEMON_URL": daemon.url}).returncode == 0


def test_another_server_is_not_healthy() -> None:
    """A model server on the port, which responds with 200 to every path, is not the daemon."""
    with Server(once(http_response(b'{"result": "positive"}'))) as server:
        done = invoke("healthy", f"--daemon.url={server.url()}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not inference-probe" in done.stderr


def test_pause_and_resume(daemon: Running) -> None:
    """`pause` stops the schedule, and `resume` starts it again."""
    paused = invoke("pause", f"--daemon.url={daemon.url}")
    assert (paused.returncode, paused.stdout.startswith("paused: ")) == (0, True)
    assert 'reason="paused"} 1' in daemon.get("/metrics").text
    resumed = invoke("resume", f"--daemon.url={daemon.url}")
    assert (resumed.returncode, resumed.stdout) == (0, "resumed\n")
    assert 'reason="paused"} 0' in daemon.get("/metrics").text


def test_reload(tmp_path: Path) -> None:
    """`reload` prints what has changed; the mistakes of a config go to stderr, with exit code 1."""
    flags = config(tmp_path)
    with running(*flags) as daemon:
        url = f"--daemon.url={daemon.url}"
        path = tmp_path / "probe.yml"
        path.write_text(path.read_text().replace("name: a", "name: b"))
        changed = invoke("reload", url)
        assert changed.returncode == 0
        assert changed.stdout == "reloaded: added 1 (b), changed 0, removed 1 (a), unchanged 0\n"
        path.write_text("probes: 7\n")
        invalid = invoke("reload", url)
        assert (invalid.returncode, invalid.stdout) == (1, "")
        assert invalid.stderr.startswith(
            "inference-probe: reload failed, the previous config stays in effect:\n"
        )
        assert f"{path}:1:9: probes" in invalid.stderr
        path.write_text("probes:\n" + "".join(f"  - {{key{n}: 1}}\n" for n in range(100)))
        assert "probes[99]" in invoke("reload", url).stderr


@pytest.mark.parametrize("command", ["pause", "resume", "reload"])
def test_lifecycle_is_off(command: str, tmp_path: Path) -> None:
    """The message of a daemon that refuses names the flag to run it with."""
    with running(*config(tmp_path)[:1]) as daemon:
        done = invoke(command, f"--daemon.url={daemon.url}")
    assert (done.returncode, "--web.enable-lifecycle" in done.stderr) == (1, True)


def test_tls_and_users(tmp_path: Path) -> None:
    """CA, client certificate, user and password; without them, the message names the flags."""
    authority = trustme.CA()
    server, client = authority.issue_cert("probe.example"), authority.issue_cert("client.example")
    ca, key = tmp_path / "ca.pem", tmp_path / "client.key"
    authority.cert_pem.write_to_path(ca)
    server.private_key_pem.write_to_path(tmp_path / "web.key")
    server.cert_chain_pems[0].write_to_path(tmp_path / "web.crt")
    client.private_key_pem.write_to_path(key)
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.crt")
    tls = {"cert_file": "web.crt", "key_file": "web.key", "client_ca_file": "ca.pem"}
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    flags = config(
        tmp_path,
        tls_server_config={**tls, "client_auth_type": "RequireAndVerifyClientCert"},
        basic_auth_users={"ann": hashed},
    )
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    trusted = [f"--daemon.ca-file={ca}", "--daemon.server-name=probe.example"]
    certified = [
        *trusted,
        f"--daemon.cert-file={tmp_path / 'client.crt'}",
        f"--daemon.key-file={key}",
    ]
    user = [*certified, "--daemon.username=ann"]
    with running(*flags) as daemon:
        url = f"--daemon.url={daemon.url.replace('http', 'https')}"

        def error(*arguments: str, environ: Mapping[str, str] | None = None) -> str:
            done = invoke("healthy", url, *arguments, environ=environ)
            assert done.returncode == 1
            return done.stderr

        assert "--daemon.ca-file" in error()
        assert "--daemon.server-name" in error(f"--daemon.ca-file={ca}")
        assert "--daemon.cert-file" in error(*trusted)
        assert "needs a user: write --daemon.username" in error(*certified)
        wrong = error(*user, environ={"INFERENCE_PROBE_DAEMON_PASSWORD": "x"})
        assert wrong.endswith("refuses: wrong user or password\n")
        assert "write https://" in invoke("healthy", f"--daemon.url={daemon.url}").stderr
        with_file = invoke("healthy", url, *user, f"--daemon.password-file={tmp_path / 'password'}")
        assert (with_file.returncode, with_file.stderr) == (0, "")
        variable = {"INFERENCE_PROBE_DAEMON_PASSWORD": PASSWORD}
        assert invoke("healthy", url, *user, environ=variable).returncode == 0


def test_unreachable(daemon: Running) -> None:
    """The message has the URL, the reason in words, and what to try."""
    done = invoke("healthy", f"--daemon.url={REFUSING}")
    assert (done.returncode, done.stdout) == (1, "")
    for text in (REFUSING, "connection refused", "inference-probe run", "--daemon.url"):
        assert text in done.stderr
    secure = f"--daemon.url={daemon.url.replace('http', 'https')}"
    assert "does not use TLS; write http://" in invoke("healthy", secure).stderr
    unknown = invoke("healthy", "--daemon.url=http://daemon.invalid")
    assert "the name daemon.invalid is unknown" in unknown.stderr


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (b"", "the connection was closed"),
        (b"SSH-2.0\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "not complete"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://h/\r\n\r\n", "redirects are not followed"),
        (b"HTTP/1.1 404 Not Found\r\n\r\nnginx", "is it inference-probe?"),
        (b"HTTP/1.1 503 Unavailable\r\n\r\nstopped\x1b[2J", r"stopped\x1b[2J"),
        (b"HTTP/1.1 500 Error\r\n\r\n", "the status 500"),
        (b"HTTP/1.1 500 Error\r\n\r\n" + 3000 * b"x", 2000 * "x" + " ...\n"),
    ],
)
def test_other_servers(response: bytes, message: str) -> None:
    """Any response but that of a healthy daemon is exit code 1, and cannot control the terminal."""

    def respond(peer: socket.socket) -> None:
        peer.recv(1000)
        peer.sendall(response)

    with raw_server(respond) as url:
        done = invoke("healthy", f"--daemon.url={url}")
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert "\x1b" not in done.stderr


def test_a_server_that_sends_slowly() -> None:
    """The timeout limits the whole request, not the wait for each byte."""

    def respond(peer: socket.socket) -> None:
        peer.recv(1000)
        try:
            for _ in range(60):
                peer.sendall(b"H")
                stop.wait(0.1)
        except OSError:
            pass

    stop = threading.Event()
    with raw_server(respond) as url:
        done = invoke("healthy", f"--daemon.url={url}")
        stop.set()
    assert (done.returncode, "no response within 2.5 s" in done.stderr) == (1, True)


def client(url: str, *flags: str) -> DaemonClient:
    return DaemonClient(build_parser({}).parse_args(["healthy", f"--daemon.url={url}", *flags]), {})


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_timeout_includes_all_steps(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lookup, each address, TLS handshake and response share one timeout."""
    addresses: list[Any] = []

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        time.sleep(0.2)
        return addresses

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with full_accept_queue() as silent, socket.create_server(("127.0.0.1", 0)) as mute:
        addresses += [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", address)
            for address in (silent, silent, mute.getsockname())
        ]
        daemon = client(f"{scheme}://daemon.test")  # reads the CA certificates of the system
        start = time.monotonic()
        with pytest.raises(DaemonError, match=r"no response within 0\.8 s"):
            daemon.request("GET", "/", timeout_seconds=0.8)
        assert time.monotonic() - start < 1.1
        mute.settimeout(1)
        mute.accept()[0].close()  # an address that does not respond leaves time for the next one


def test_a_lookup_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout limits the lookup of the name, too."""
    end = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [end.wait(20)])
    start = time.monotonic()
    with pytest.raises(DaemonError, match=r"daemon\.test could not be looked up"):
        client("http://daemon.test").request("GET", "/", timeout_seconds=0.3)
    assert time.monotonic() - start < 1
    end.set()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (socket.EAI_NONAME, "the name daemon.test is unknown"),
        (socket.EAI_AGAIN, "daemon.test could not be looked up: the name server does not respond"),
    ],
)
def test_failed_lookups(code: int, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that does not respond says nothing about the name."""

    def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        raise socket.gaierror(code, "as the system says")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(DaemonError, match=message):
        client("http://daemon.test").request("GET", "/", timeout_seconds=5)


def test_the_second_address(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection to one address of a name is followed by the next address."""
    port = int(daemon.url.rpartition(":")[2])
    addresses = [
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", number)) for number in (1, port)
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    text = client("http://daemon.test").request("GET", "/-/healthy", timeout_seconds=5)
    assert "is healthy" in text


def test_comments_in_a_ca_file(tmp_path: Path) -> None:
    """A file of CA certificates may have comments in any encoding."""
    path = tmp_path / "ca.pem"
    for encoding in ("utf-8", "latin-1"):
        path.write_bytes("# Société Générale\n".encode(encoding) + trustme.CA().cert_pem.bytes())
        client("https://daemon.test", f"--daemon.ca-file={path}")


def test_proxies_are_not_used(daemon: Running) -> None:
    """Variables for proxies have no effect."""
    proxies = {"http_proxy": REFUSING, "HTTP_PROXY": REFUSING, "ALL_PROXY": REFUSING}
    done = invoke("healthy", f"--daemon.url={daemon.url}", environ=proxies)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--daemon.url=127.0.0.1:10115"], "write one such as http://127.0.0.1:10115"),
        (["--daemon.url=http://h:99999"], "not an http or https URL"),
        (["--daemon.url=http://ann:secret@h"], "--daemon.password-file"),
        (["--daemon.username=ann"], "INFERENCE_PROBE_DAEMON_PASSWORD"),
        (["--daemon.username=a:b"], "--daemon.username: a user name has no colon"),
        (
            ["--daemon.username=ann", "--daemon.password-file=/missing"],
            "cannot read the file: No such",
        ),
        (["--daemon.password-file=/dev/null"], "write --daemon.username"),
        (["--daemon.url=https://h", "--daemon.ca-file=/dev/null"], "no certificates (PEM)"),
        (["--daemon.url=https://h", "--daemon.ca-file=/missing"], "cannot read /missing: No such"),
        (["--daemon.url=https://h", "--daemon.key-file=/dev/null"], "needs --daemon.cert-file"),
        (["--daemon.url=https://h", "--daemon.cert-file=/dev/null"], "no certificate with its"),
        (["now"], "unrecognized arguments"),
    ],
)
def test_bad_usage(arguments: list[str], message: str) -> None:
    """Wrong flags are exit code 2. No message contains a password."""
    done = invoke("healthy", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "secret" not in done.stderr


def cpu_seconds(command: list[str], environ: Mapping[str, str]) -> float:
    """Return the CPU time (seconds) of a command: the median of several runs."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, env=environ, check=True, capture_output=True, timeout=30)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times)


def test_cpu_time_of_healthy(daemon: Running, tmp_path: Path) -> None:
    """`healthy` uses less than 0.1 s of CPU, where a Python that does nothing uses 0.025 s."""
    environ = {
        **environment({"INFERENCE_PROBE_DAEMON_URL": daemon.url}),
        "PYTHONPYCACHEPREFIX": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "",
    }
    nothing = cpu_seconds([sys.executable, "-c", "pass"], environ)
    healthy = cpu_seconds([*COMMAND, "healthy"], environ)
    assert healthy < 0.1 * max(1, nothing / 0.025)


def test_imports_of_healthy() -> None:
    """`healthy` imports no library, and not the modules that read configs."""
    code = (
        "import sys; from probe.cli.main import build_parser;"
        "build_parser({}).parse_args(['healthy']); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    imported = set(done.stdout.split())
    assert "probe.cli.lifecycle" in imported
    heavy = {"pydantic", "requests", "http.client", "ssl", "yaml", "probe.config.schema", "json"}
    assert not imported & heavy
