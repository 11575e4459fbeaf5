"""No secret of a config is told to anybody, whatever happens and whoever repeats it to us."""

import signal
import ssl
import subprocess
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
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
from tests.commands import COMMAND, environment, invoke
from tests.raw_servers import Server, free_port
from tests.secret_fixtures import MARKER, NUMBER, PASSWORD, House, script


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.invalid").configure_cert(context)
    with Server(script) as server, Server(script, context=context) as secure:
        house = House(tmp_path, server.port, secure.port, authority)
        house.furnish()
        yield house


@contextmanager
def daemon(house: House, *flags: str, **asking: Any) -> Iterator[Any]:
    """A daemon that says all it can, and a function that asks it."""
    port = free_port()
    where = f"--web.listen-address=127.0.0.1:{port}"
    run = ("run", f"--config.file={house.probe}", where, "--web.enable-lifecycle")
    with (house.directory / "log").open("w+") as log:
        process = subprocess.Popen(
            [*COMMAND, *run, "--log.level=debug", *flags],
            env=environment(house.environ),
            stderr=log,
            stdout=log,
        )

        def ask(path: str, method: str = "GET", **more: Any) -> requests.Response:
            scheme = "https" if "verify" in asking else "http"
            url = f"{scheme}://127.0.0.1:{port}{path}"
            return requests.request(method, url, timeout=10, **{**asking, **more})

        try:
            ready(ask)
            yield ask, process
        finally:
            process.terminate()
            process.wait(20)
            log.seek(0)
            house.tell(f"log {flags}", log.read())


def ready(ask: Any) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            assert ask("/-/ready").ok
            return
        except requests.ConnectionError:
            assert time.monotonic() < end, "it does not listen"
            time.sleep(0.1)


REASONS = {
    *("assertion", "reset", "first_byte_timeout", "overloaded", "http_5xx", "rate_limited"),
    *("http_4xx", "protocol", "refused", "denied", "tls", "dns", "proxy", "internal"),
}


def wait_for_all(ask: Any) -> None:
    end = time.monotonic() + 30
    while True:
        probes = ask("/api/v1/probes").json()["probes"]
        seen = {probe["last"]["reason"] if probe["last"] else "none" for probe in probes}
        if seen >= REASONS:
            return
        assert time.monotonic() < end, f"not seen: {REASONS - seen}; seen: {seen - REASONS}"
        time.sleep(0.5)


def look_at_everything(house: House, ask: Any, who: str) -> None:
    names = [probe["probe"] for probe in ask("/api/v1/probes").json()["probes"]]
    pages = ["/", "/metrics", "/api/v1/probes", "/-/healthy", "/probe", "/probe?name=no", "/no"]
    for name in names:
        said = quote(name, safe="")
        pages += [f"/probes/{said}", f"/api/v1/probes/{said}/results", f"/probe?name={said}"]
    for page in pages:
        answer = ask(page)
        house.tell(f"{who} {page}", f"{answer.headers}\n{answer.text}")


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_a_daemon_keeps_secrets(house: House, form: str) -> None:
    """Neither its log nor anything that it serves, to users or to anybody, has a part of one."""
    flags = [f"--log.format={form}"]
    asking: dict[str, Any] = {}
    if form == "json":
        ca = house.directory / "ca.pem"
        house.authority.cert_pem.write_to_path(str(ca))
        flags.append(f"--web.config.file={house.web}")
        asking = {"auth": ("ann", PASSWORD), "verify": str(ca)}
    with daemon(house, *flags, **asking) as (ask, process):
        house.rotate()
        wait_for_all(ask)
        look_at_everything(house, ask, form)
        house.tell("anonymous", ask("/", auth=("ann", f"{MARKER}-wrong")).text)
        house.spoil()
        refused = ask("/-/reload", "POST")
        assert refused.status_code == 500
        assert "probes[0].headers.X-Api-Key" in refused.text
        house.tell("reload", refused.text)
        process.send_signal(signal.SIGHUP)
        house.web.write_text(f"basic_auth_users: {{ann: {MARKER}, bob: {NUMBER}}}")
        time.sleep(1)
        house.tell("after", ask("/").text)
    assert not house.leaks()
    failures = [text for where, text in house.told.items() if where.endswith("/results")]
    assert sum("***" in text for text in failures) > 10
    assert all(
        ("body_excerpt" in text) is (form == "json") for text in failures if '"status":5' in text
    )
    assert "probe failed" in house.told[f"log {tuple(flags)}"]


@pytest.mark.parametrize("output", ["text", "json"])
def test_commands_keep_secrets(house: House, output: str) -> None:
    """`check` and `once` say what is and what is wrong, and no secret."""
    for state in ("good", "bad"):
        for command in ("check", "once"):
            done = invoke(
                command,
                f"--config.file={house.probe}",
                f"--output={output}",
                environ=house.environ,
            )
            assert "Traceback" not in done.stderr
            house.tell(f"{command} {output} {state}", done.stdout + done.stderr)
        house.spoil()
    assert not house.leaks()
    assert "***" in house.told[f"once {output} good"]
    assert "X-Api-Key" in house.told[f"check {output} bad"]


def test_our_own_faults_keep_secrets(house: House) -> None:
    """An error of ours that has the whole request in it says so without its secrets."""

    class Broken(BaseAdapter):
        certificate_not_after: float | None = None
        last_received = Timestamp(0, 0)

        def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
            raise RuntimeError(f"{request.url} {request.headers} {request.body!r}")

        def close(self) -> None:
            pass

    settings = load(house.probe, environ=house.environ)
    secrets = Secrets(house.environ, house.directory)
    for probe in settings.probes:
        prober = Prober(probe, secrets, lambda *_, **__: Broken(), Clock())
        house.tell(probe.name, str(prober.run()))
        assert "RuntimeError: " in house.told[probe.name]
    assert not house.leaks()


def test_tracebacks_keep_secrets(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a bug in the making of a result says of the request goes to the log without them."""
    words = ""

    class Broken(BaseAdapter):
        certificate_not_after: float | None = None
        last_received = Timestamp(0, 0)

        def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
            nonlocal words
            words = f"{request.url} {request.headers} {request.body!r}"
            raise ConnectionResetError

        def close(self) -> None:
            pass

    def excerpt(_: object) -> None:
        raise RuntimeError(words)

    monkeypatch.setattr("probe.prober.prober._excerpt", excerpt)
    secrets = Secrets(house.environ, house.directory)
    for probe in load(house.probe, environ=house.environ).probes:
        with pytest.raises(RuntimeError, match="User-Agent") as bug:
            Prober(probe, secrets, lambda *_, **__: Broken(), Clock()).run()
        house.tell(probe.name, "".join(traceback.format_exception(bug.value)))
    assert not house.leaks()
