"""Loading of web configs: supported keys, and errors with their locations."""

import os
from pathlib import Path
from typing import Any

import pytest
import trustme

from probe.clock import Clock
from probe.config.errors import ConfigError
from probe.server.tls import server_ssl_context
from probe.server.web_config_loader import load_web_config
from probe.server.web_config_watch import RETRY_CHECKS, WebConfig, load_in_child_process
from probe.server.web_settings import WebSettings
from probe.threads import Task
from tests.fakes import FakeTime

HASH = "$2y$10$" + "." * 53
TLS = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a directory with a certificate, its key, a CA certificate, another key and a text."""
    directory = tmp_path_factory.mktemp("web")
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    leaf.cert_chain_pems[0].write_to_path(str(directory / "cert.pem"))
    leaf.private_key_pem.write_to_path(str(directory / "key.pem"))
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    authority.issue_cert("other").private_key_pem.write_to_path(str(directory / "other.pem"))
    (directory / "text").write_text("words\n")
    return directory


def web_config(path: Path, clock: Clock | None = None, **options: Any) -> WebConfig:
    """Return a WebConfig that loads changed files in this process and at once."""
    defaults: Any = {
        "check_interval_seconds": 0,
        "load": load_web_config,
        "submit": lambda task: task(),
    }
    return WebConfig(clock or FakeTime().clock(), path, **(defaults | options))


def load_problems(directory: Path, content: str) -> list[str]:
    """Return the problems of a web config, without the name of the file."""
    path = directory / "web.yml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_web_config(path)
    return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]


@pytest.mark.parametrize("content", ["---\n", "", "\n", "# only this\n  # and this\n"])
def test_an_empty_file_is_valid(directory: Path, content: str) -> None:
    """It means HTTP without TLS and without users."""
    (directory / "web.yml").write_text(content)
    assert load_web_config(directory / "web.yml") == WebSettings()


def test_supported_keys(directory: Path) -> None:
    """Each supported key of the format is accepted."""
    (directory / "web.yml").write_text(
        f"{TLS}"
        "  client_auth_type: RequireAndVerifyClientCert\n"
        "  client_ca_file: ca.pem\n"
        "  client_allowed_sans: [prometheus.example]\n"
        "  min_version: TLS12\n"
        "  max_version: TLS13\n"
        "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n"
        "  prefer_server_cipher_suites: false\n"
        "http_server_config:\n"
        "  http2: false\n"
        "  headers:\n"
        "    Content-Security-Policy: default-src 'none'\n"
        "    X-Frame-Options: sameorigin\n"
        "    X-Content-Type-Options: nosniff\n"
        '    X-XSS-Protection: "0"\n'
        "    Strict-Transport-Security: max-age=60\n"
        f"basic_auth_users:\n  alice: {HASH}\n"
    )
    settings = load_web_config(directory / "web.yml")
    assert settings.tls_server_config
    assert server_ssl_context(settings.tls_server_config)
    assert settings == load_in_child_process(directory / "web.yml")
    assert settings.basic_auth_users == {"alice": HASH}
    assert HASH not in repr(settings)


def test_files_that_are_too_large(directory: Path) -> None:
    """Web configs and the files that they name have a maximum size."""
    (directory / "large").touch()
    os.truncate(directory / "large", 2**40)
    (problem,) = load_problems(directory, TLS.replace("cert.pem", "large"))
    assert problem == '2:14: tls_server_config.cert_file: larger than 4 MiB: "large"'

    with pytest.raises(ConfigError, match=r": larger than 4 MiB$"):
        load_web_config(directory / "large")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("5\n", "1:1: expected a mapping such as `basic_auth_users`, not a number"),
        ("tls_server_config: {}\n", "1:20: tls_server_config.cert_file: this key is missing"),
        (f"{TLS}  cert: x\n", "4:3: tls_server_config.cert: not honoured"),
        (f"{TLS}  key: x\n", "4:3: tls_server_config.key: not honoured"),
        (f"{TLS}  client_ca: x\n", "4:3: tls_server_config.client_ca: not honoured"),
        (f"{TLS}  curve_preferences: []\n", "4:3: tls_server_config.curve_preferences: not hono"),
        ("rate_limit: {burst: 1}\n", "1:1: rate_limit: not honoured"),
        (f"{TLS}  min_version: TLS10\n", "4:16: tls_server_config.min_version: expected TLS12 or"),
        (
            f"{TLS}  min_version: TLS13\n  max_version: TLS12\n",
            "5:16: tls_server_config.max_version: older than min_version",
        ),
        (
            f"{TLS}  client_auth_type: RequireAnyClientCert\n",
            "4:21: tls_server_config.client_auth_type: expected NoClientCert, ",
        ),
        (
            f"{TLS}  client_auth_type: RequireAndVerifyClientCert\n",
            "2:3: tls_server_config.client_ca_file: RequireAndVerifyClientCert needs",
        ),
        (f"{TLS}  client_ca_file: ca.pem\n", "4:19: tls_server_config.client_ca_file: no client"),
        (f"{TLS}  client_allowed_sans: [x]\n", "4:24: tls_server_config.client_allowed_sans: need"),
        (f"{TLS}  cipher_suites: [TLS_RSA_X]\n", "4:19: tls_server_config.cipher_suites[0]: expe"),
        (f"{TLS}  cert_fil: x\n", "4:3: tls_server_config.cert_fil: unknown key, did you mean `c"),
        (
            TLS.replace("cert.pem", "text"),
            '2:14: tls_server_config.cert_file: no certificates (PEM) in the file: "text"',
        ),
        (
            TLS.replace("key.pem", "other.pem"),
            "3:13: tls_server_config.key_file: the private key is not that of the certificate",
        ),
        (TLS.replace("key.pem", "none"), '3:13: tls_server_config.key_file: no such file: "none"'),
        ("http_server_config: {http2: true}\n", "1:29: http_server_config.http2: HTTP/2 is not su"),
        (
            "http_server_config: {headers: {X-Frame-Options: x}}\n",
            "1:49: http_server_config.headers.X-Frame-Options: expected deny or sameorigin",
        ),
        (
            "http_server_config: {headers: {Server: x}}\n",
            "1:32: http_server_config.headers.Server: unknown key; known are Content-Security-Pol",
        ),
        (
            'http_server_config: {headers: {X-XSS-Protection: "a\\nb"}}\n',
            "1:50: http_server_config.headers.X-XSS-Protection: expected the value of a header",
        ),
        ("basic_auth_users: {alice: secret}\n", "1:27: basic_auth_users.alice: not a bcrypt hash"),
        ("basic_auth_users: {alice: 5}\n", "1:27: basic_auth_users.alice: expected text; put"),
        (
            f'basic_auth_users: {{"a:b": "{HASH}"}}\n',
            '1:20: basic_auth_users["a…"]: not a user\'s name',
        ),
        (
            f"basic_auth_users: {{alice:{HASH}secret}}\n",
            '1:20: basic_auth_users["alice…"]: not a user\'s name',
        ),
        ("basic_auth_users: {70: x}\n", "1:20: basic_auth_users.70: a key must be text; put it"),
        ("basic_auth_users: {70:50: x}\n", '1:20: basic_auth_users["70…"]: not a user\'s name'),
        (
            f"basic_auth_users: {{alice: {HASH.replace('10', '31')}}}\n",
            "1:27: basic_auth_users.alice: a bcrypt cost of 31; expected 4 to 16",
        ),
    ],
)
def test_invalid_web_configs(directory: Path, content: str, problem: str) -> None:
    """The error names the key and its location, and says what to write. It quotes no secret."""
    problems = load_problems(directory, content)
    assert any(line.startswith(problem) for line in problems), problems
    assert "secret" not in "".join(problems)
    assert HASH not in "".join(problems)


def test_files_are_checked_once_per_interval(tmp_path: Path) -> None:
    """A change is seen with the first access after the interval, and not before."""
    path, time = tmp_path / "web.yml", FakeTime()
    path.write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
    config = web_config(path, time.clock(), check_interval_seconds=1)
    path.write_text("http_server_config: {headers: {X-Frame-Options: sameorigin}}\n")
    time.advance(0.9)
    assert config.settings.http_server_config.headers == {"X-Frame-Options": "deny"}
    time.advance(0.1)
    assert config.settings.http_server_config.headers == {"X-Frame-Options": "sameorigin"}


@pytest.mark.parametrize("at_start", [True, False])
def test_a_change_during_a_load_is_loaded_later(tmp_path: Path, *, at_start: bool) -> None:
    """A file that changes after it was read, and before the load ends, is loaded again."""
    path = tmp_path / "web.yml"
    path.write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
    should_change = at_start

    def load_and_change(path: Path) -> WebSettings:
        nonlocal should_change
        loaded = load_web_config(path)
        if should_change:
            path.write_text("http_server_config: {headers: {X-Frame-Options: sameorigin}}\n")
        should_change = False
        return loaded

    config = web_config(path, load=load_and_change)
    if not at_start:
        path.write_text("# changed\n" + path.read_text())
        should_change = True
        assert config.settings.http_server_config.headers == {"X-Frame-Options": "deny"}
    assert config.settings.http_server_config.headers == {"X-Frame-Options": "sameorigin"}


def test_a_changed_file_is_loaded_on_another_thread(tmp_path: Path) -> None:
    """Requests meanwhile use the previous settings. No second load begins before the end."""
    path, tasks = tmp_path / "web.yml", list[Task]()
    path.write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")
    config = web_config(path, submit=tasks.append)
    path.write_text("http_server_config: {headers: {X-Frame-Options: sameorigin}}\n")
    for _ in range(2):
        assert config.settings.http_server_config.headers == {"X-Frame-Options": "deny"}
    (load,) = tasks
    load()
    assert config.settings.http_server_config.headers == {"X-Frame-Options": "sameorigin"}
    assert tasks == [load]


@pytest.mark.parametrize("error", [ChildProcessError("was killed"), RuntimeError("bug")])
def test_a_load_that_fails_is_repeated(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The previous settings stay in effect, and the log has the error."""
    path, errors = tmp_path / "web.yml", list[Exception]()
    path.write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")

    def load(path: Path) -> WebSettings:
        if errors:
            raise errors.pop()
        return load_web_config(path)

    config = web_config(path, load=load)
    path.write_text("http_server_config: {headers: {X-Frame-Options: sameorigin}}\n")
    errors.append(error)
    assert config.settings.http_server_config.headers == {"X-Frame-Options": "deny"}
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert config.settings.http_server_config.headers == {"X-Frame-Options": "sameorigin"}


def test_without_a_thread_the_load_is_repeated(tmp_path: Path) -> None:
    """The next access after the interval tries again."""
    path, tasks = tmp_path / "web.yml", list[Task]()
    path.write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n")

    def submit(task: Task) -> None:
        tasks.append(task)
        if len(tasks) == 1:
            raise RuntimeError("can't start new thread")
        task()

    config = web_config(path, submit=submit)
    path.write_text("http_server_config: {headers: {X-Frame-Options: sameorigin}}\n")
    assert config.settings.http_server_config.headers == {"X-Frame-Options": "deny"}
    assert config.settings.http_server_config.headers == {"X-Frame-Options": "sameorigin"}


def test_an_invalid_file_is_rarely_loaded_again(directory: Path) -> None:
    """Each load takes a process. A change of the file is noticed at once."""
    path = directory / "web.yml"
    path.write_text("")
    loads = []

    def load(file: Path) -> WebSettings:
        loads.append(file)
        return load_web_config(file)

    config = web_config(path, load=load)
    path.write_text("unknown: 1\n")
    for _ in range(RETRY_CHECKS):
        assert not config.settings.basic_auth_users
    assert len(loads) == 2
    assert not config.settings.basic_auth_users
    assert len(loads) == 3
    path.write_text("{}\n")
    assert not config.settings.basic_auth_users
    assert len(loads) == 4
