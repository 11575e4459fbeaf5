"""No secret of a config appears in any output, also if an endpoint repeats it."""

import shlex
import signal
import ssl
import subprocess
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
import trustme
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from probe.clock import Clock
from probe.config.loader import load
from probe.config.secrets import Secrets
from probe.http.stopwatch import Timestamp
from probe.prober.prober import Prober
from tests.commands import COMMAND, command_process, environment, invoke
from tests.probing import EVALUATOR
from tests.raw_servers import Server, free_port
from tests.secret_fixtures import MARKER, NUMBER, PASSWORD, SecretFixture, script

pytestmark = pytest.mark.timing


@pytest.fixture
def fixture(tmp_path: Path) -> Iterator[SecretFixture]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.invalid").configure_cert(context)
    with Server(script) as server, Server(script, context=context) as secure:
        fixture = SecretFixture(tmp_path, server.port, secure.port, authority)
        fixture.write_files()
        yield fixture


@contextmanager
def running_daemon(fixture: SecretFixture, *flags: str, **options: Any) -> Iterator[Any]:
    """Run a daemon that logs at debug level. Yields a function for requests, and the process."""
    port = free_port()
    address = f"--web.listen-address=127.0.0.1:{port}"
    run = ("run", f"--config.file={fixture.probe}", address, "--web.enable-lifecycle")
    with (fixture.directory / "log").open("w+") as log:
        process = subprocess.Popen(
            [*COMMAND, *run, "--log.level=debug", *flags],
            env=environment(fixture.environ),
            stderr=log,
            stdout=log,
        )

        session = requests.Session()
        session.trust_env = False

        def request(path: str, method: str = "GET", **more: Any) -> requests.Response:
            scheme = "https" if "verify" in options else "http"
            url = f"{scheme}://127.0.0.1:{port}{path}"
            return session.request(method, url, timeout=10, **{**options, **more})

        try:
            wait_until_ready(request)
            yield request, process
        finally:
            process.terminate()
            process.wait(20)
            session.close()
            log.seek(0)
            fixture.record(f"log {flags}", log.read())


def wait_until_ready(request: Any) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            assert request("/-/ready").ok
            return
        except requests.ConnectionError:
            assert time.monotonic() < end, "it does not listen"
            time.sleep(0.1)


def wait_for_rejections(fixture: SecretFixture, request: Any, *, web: bool) -> None:
    """Wait until the log has both rejections of the config, and that of the web config if `web`."""
    end = time.monotonic() + 20
    while True:
        request("/-/healthy")  # a request checks the file of the web config
        log = (fixture.directory / "log").read_text()
        rejections = log.count("config reload failed")
        if rejections == 2 and ("web config rejected" in log) is web:
            return
        assert time.monotonic() < end, "a config was not rejected"
        time.sleep(0.1)


REASONS = {
    *("assertion", "reset", "first_byte_timeout", "overloaded", "http_5xx", "rate_limited"),
    *("http_4xx", "protocol", "refused", "denied", "tls", "dns", "proxy", "internal"),
}


def wait_for_all_reasons(request: Any) -> None:
    end = time.monotonic() + 30
    while True:
        probes = request("/api/v1/probes").json()["probes"]
        seen = {probe["last"]["reason"] if probe["last"] else "none" for probe in probes}
        if seen >= REASONS:
            return
        assert time.monotonic() < end, f"not seen: {REASONS - seen}; seen: {seen - REASONS}"
        time.sleep(0.2)


def fetch_all_pages(fixture: SecretFixture, request: Any, client: str, **options: Any) -> None:
    names = [probe["probe"] for probe in request("/api/v1/probes").json()["probes"]]
    pages = ["/", "/metrics", "/api/v1/probes", "/-/healthy", "/probe", "/probe?name=no", "/no"]
    for name in names:
        quoted = quote(name, safe="")
        pages += [f"/probes/{quoted}", f"/api/v1/probes/{quoted}/results", f"/probe?name={quoted}"]
    for page in pages:
        response = request(page, **options)
        fixture.record(f"{client} {page}", f"{response.headers}\n{response.text}")


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_a_daemon_keeps_secrets(fixture: SecretFixture, form: str) -> None:
    """They are neither in its log nor in its pages, for users, local and remote clients."""
    flags = [f"--log.format={form}"]
    options: dict[str, Any] = {}
    if form == "json":
        ca = fixture.directory / "ca.pem"
        fixture.authority.cert_pem.write_to_path(str(ca))
        flags.append(f"--web.config.file={fixture.web}")
        options = {"auth": ("ann", PASSWORD), "verify": str(ca)}
    with running_daemon(fixture, *flags, **options) as (request, process):
        fixture.invalidate_secret_files()
        wait_for_all_reasons(request)
        fetch_all_pages(fixture, request, form)
        if form == "logfmt":
            fetch_all_pages(fixture, request, "remote", headers={"Host": "probe.example"})
        fixture.record("anonymous", request("/", auth=("ann", f"{MARKER}-wrong")).text)
        fixture.write_invalid_config()
        rejected = request("/-/reload", "POST")
        assert rejected.status_code == 500
        assert "probes[0].headers.X-Api-Key" in rejected.text
        fixture.record("reload", rejected.text)
        process.send_signal(signal.SIGHUP)
        fixture.web.write_text(f"basic_auth_users: {{ann: {MARKER}, bob: {NUMBER}}}")
        wait_for_rejections(fixture, request, web=form == "json")
        fixture.record("after", request("/").text)
    assert not fixture.leaks()
    failures = {
        source: text for source, text in fixture.outputs.items() if source.endswith("/results")
    }
    assert sum("***" in text for text in failures.values()) > 10
    for source, text in failures.items():
        if '"status":5' in text:
            assert ("body_excerpt" in text) is not source.startswith("remote "), source
    assert "probe failed" in fixture.outputs[f"log {tuple(flags)}"]


def test_commands_keep_secrets(fixture: SecretFixture) -> None:
    """`check` and `once` show results and mistakes without secrets."""
    outputs, log = ("text", "json"), fixture.directory / "log"
    with (
        log.open("w") as stderr,
        command_process(environ=fixture.environ, stderr=stderr) as commands,
    ):
        for state in ("good", "bad"):
            for command, output in product(("check", "once"), outputs):
                flags = (f"--config.file={fixture.probe}", f"--output={output}")
                process = commands.invoke(command, *flags)
                assert "Traceback" not in process.stderr
                fixture.record(f"{command} {output} {state}", process.stdout + process.stderr)
            fixture.write_invalid_config()
    fixture.record("warnings", log.read_text())
    assert not fixture.leaks()
    for output in outputs:
        assert "***" in fixture.outputs[f"once {output} good"]
        assert "X-Api-Key" in fixture.outputs[f"check {output} bad"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (f"check --header 'Authorization: Bearer {MARKER}'", "unrecognized arguments: --header\n"),
        (f"run -H 'Authorization: Bearer {MARKER}'", "unrecognized arguments: -H\n"),
        (f"check --token={MARKER}", "unrecognized arguments: --token\n"),
        (f"check -H{MARKER}", "unrecognized arguments: -H\n"),
        (f"--token={MARKER} check", "unrecognized arguments: --token\n"),
        (f"--token {MARKER} check", "no such command (choose from run, "),
        (f"rules {MARKER}", "unrecognized arguments: a value without a flag\n"),
        (f"rules --help={MARKER}", "--help: this flag takes no value\n"),
        (f"once --url=http://h/ --output={MARKER}", "--output: expected one of text, json\n"),
        (f"run http://u:{MARKER}@h/", "write --url=URL to probe a URL\n"),
        (f"once --url=http://h/ http://u:{MARKER}@h/", "no probe 'http://***' in the config"),
        (f"check http://u:{MARKER}@h/", "the argument FILE: expected the name of a file, not a"),
        (f"check --config.file=http://{MARKER}@h/", "--config.file: expected the name of a file"),
        (f'check \'{{"token": "{MARKER}"}}\'', "write the name of a config file, not what is in"),
        (f"check --url=http://h/ --slo={MARKER}", "--slo: not an objective; write one such as"),
        (f"check --url=http://h/ --slo='99% < {MARKER}'", "--slo: not an objective; write one"),
        (f"check --url=http://h/ --slo={MARKER}%", "--slo: not an objective; write one such as"),
        (
            f"run --url=http://h/ --web.runbook-url=ftp://u/{MARKER}",
            "--web.runbook-url: not an abs",
        ),
        (f"status --daemon.url=ftp://u/{MARKER}", "--daemon.url: not an http or https URL; write"),
        (f"status --daemon.username=a --daemon.password-file={MARKER}", "cannot read the file: No"),
    ],
)
def test_mistaken_arguments_are_not_quoted(arguments: str, message: str) -> None:
    """Messages about the command line name the flag, and not its value, which may be a secret."""
    done = invoke(*shlex.split(arguments))
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert MARKER not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_internal_failures_keep_secrets(fixture: SecretFixture) -> None:
    """The message of an exception quotes the whole request."""

    class Broken(BaseAdapter):
        certificate_not_after: float | None = None
        last_received = Timestamp(0, 0)

        def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
            raise RuntimeError(f"{request.url} {request.headers} {request.body!r}")

        def close(self) -> None:
            pass

    settings = load(fixture.probe, environ=fixture.environ)
    secrets = Secrets(fixture.environ, fixture.directory)
    for probe in settings.probes:
        prober = Prober(probe, secrets, lambda *_, **__: Broken(), Clock(), EVALUATOR)
        fixture.record(probe.name, str(prober.run()))
        assert "RuntimeError: " in fixture.outputs[probe.name]
    assert not fixture.leaks()


def test_tracebacks_keep_secrets(fixture: SecretFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in building a result quotes the request in its message, which is logged."""
    message = ""

    class Broken(BaseAdapter):
        certificate_not_after: float | None = None
        last_received = Timestamp(0, 0)

        def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
            nonlocal message
            message = f"{request.url} {request.headers} {request.body!r}"
            raise ConnectionResetError

        def close(self) -> None:
            pass

    def broken_excerpt(_: object) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr("probe.prober.prober._excerpt", broken_excerpt)
    secrets = Secrets(fixture.environ, fixture.directory)
    for probe in load(fixture.probe, environ=fixture.environ).probes:
        with pytest.raises(RuntimeError, match="User-Agent") as bug:
            Prober(probe, secrets, lambda *_, **__: Broken(), Clock(), EVALUATOR).run()
        fixture.record(probe.name, "".join(traceback.format_exception(bug.value)))
    assert not fixture.leaks()
