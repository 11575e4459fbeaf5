"""Users of a web config: authentication, its cost, and changes of the file."""

import base64
import logging
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bcrypt
import pytest
import requests

from tests.commands import invoke, running
from tests.server.http_server_fixture import HttpServer, bcrypt_hash, http_server

pytestmark = pytest.mark.timing

ALICE = ("alice", "sesame: öffne dich")


def write(path: Path, **hashes: str) -> Path:
    """Replace the file by one with these users, as editors do."""
    lines = "".join(f"  {user}: {hashed}\n" for user, hashed in hashes.items())
    new = path.with_name("new")
    new.write_text(f"basic_auth_users:\n{lines}" if hashes else "basic_auth_users: {}\n")
    return new.replace(path)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write(tmp_path / "web.yml", alice=bcrypt_hash(ALICE[1]), bob=bcrypt_hash("x" * 80))


@pytest.fixture
def site(config: Path) -> Iterator[HttpServer]:
    with http_server(config) as server:
        yield server


def get(
    site: HttpServer, auth: tuple[str, str] | None = None, path: str = "/"
) -> requests.Response:
    encoded = None if auth is None else base64.b64encode(":".join(auth).encode()).decode()
    headers = {} if encoded is None else {"Authorization": f"Basic {encoded}"}
    return requests.get(f"http://{site.host}{path}", headers=headers, timeout=20)


def test_without_users_no_password_is_needed() -> None:
    """Without a web config a request is served, and has no authenticated user."""
    with http_server() as site:
        assert get(site).text == "False "


def test_application_sees_the_user(site: HttpServer) -> None:
    """With the right password, the application learns the user's name."""
    assert get(site, ALICE).text == "True alice"


def test_errors_under_api_are_json(site: HttpServer) -> None:
    """Errors of authentication and of limits are JSON under /api/."""
    unauthorized = get(site, path="/api/v1/probes")
    large = requests.get(f"http://{site.host}/api/v1/probes", data="{}", timeout=20)
    assert [unauthorized.status_code, large.status_code] == [401, 413]
    assert unauthorized.json() == {"error": "a user and a password are needed"}
    assert large.json() == {"error": "requests must not have a body"}


def test_password_is_truncated_as_bcrypt_does(site: HttpServer) -> None:
    """Only the first 72 bytes count, as with htpasswd: a longer password is no error."""
    assert get(site, ("bob", "x" * 80)).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Basic",
        "Basic !!!",
        "Basic \u00e4",
        "Basic " + base64.b64encode(b"alice").decode(),
        "Basic " + base64.b64encode(b"\xff:x").decode(),
        "Bearer " + base64.b64encode(b"alice:sesame").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + base64.b64encode(b"alice:wrong").decode(),
        "Basic " + base64.b64encode(b"alice:\0").decode(),
        "Basic " + base64.b64encode(b"mallory:sesame").decode(),
    ],
)
def test_invalid_credentials_are_rejected(site: HttpServer, header: str | None) -> None:
    """Any path, existing or not, gives 401 and the challenge."""
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for path in ("/", "/probe", "/nothing", "/metrics", "/-/healthy"):
        response = requests.get(f"http://{site.host}{path}", headers=headers, timeout=10)
        assert response.status_code == 401
        challenge = 'Basic realm="inference-probe", charset="UTF-8"'
        assert response.headers["WWW-Authenticate"] == challenge


def test_a_password_is_verified_once(tmp_path: Path) -> None:
    """Requests after the first one do not pay for bcrypt."""
    with http_server(write(tmp_path / "web.yml", alice=bcrypt_hash(ALICE[1], cost=12))) as site:
        start = time.monotonic()
        assert get(site, ALICE).status_code == 200
        first = time.monotonic() - start
        later = []
        for _ in range(10):
            start = time.monotonic()
            assert get(site, ALICE).status_code == 200
            later.append(time.monotonic() - start)
    assert first > 0.1
    assert statistics.median(later) < first / 4


def test_verification_does_not_delay_known_users(tmp_path: Path) -> None:
    """While passwords are verified for a second, a known user gets a response at once."""
    path = write(tmp_path / "web.yml", alice=bcrypt_hash(ALICE[1]), bob=bcrypt_hash("x", cost=12))
    with http_server(path) as site, ThreadPoolExecutor(3) as clients:
        assert get(site, ALICE).status_code == 200
        guesses = [clients.submit(get, site, ("bob", f"{n}")) for n in range(3)]
        time.sleep(0.1)
        start = time.monotonic()
        assert get(site, ALICE).status_code == 200
        assert time.monotonic() - start < 0.3
        assert not all(guess.done() for guess in guesses)
        assert [guess.result().status_code for guess in guesses] == [401] * 3


def test_unknown_user_takes_as_long_as_a_known_one(tmp_path: Path) -> None:
    """The response time does not reveal which users exist."""
    path = write(tmp_path / "web.yml", alice=bcrypt_hash(ALICE[1], cost=10))
    with http_server(path) as site:

        def seconds(user: str) -> float:
            start = time.monotonic()
            assert get(site, (user, "wrong")).status_code == 401
            return time.monotonic() - start

        pairs = [(seconds("alice"), seconds("mallory")) for _ in range(5)]
    known, unknown = (statistics.median(times) for times in zip(*pairs, strict=True))
    assert min(known, unknown) > 0.02
    assert 0.6 < known / unknown < 1.6


@pytest.mark.parametrize("user", ["cheap", "costly", "mallory"])
def test_each_login_takes_the_same_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """A wrong password costs the rounds of the highest configured cost, whatever the user's is."""
    path = write(tmp_path / "web.yml", cheap=bcrypt_hash("a", 4), costly=bcrypt_hash("b", 8))
    rounds = []
    check = bcrypt.checkpw

    def counting_check(password: bytes, hashed: bytes) -> bool:
        rounds.append(2 ** int(hashed[4:6]))
        return check(password, hashed)

    with http_server(path) as site:
        monkeypatch.setattr(bcrypt, "checkpw", counting_check)
        assert get(site, (user, "wrong")).status_code == 401
        assert sum(rounds) == 2**8
        assert get(site, ("cheap", "a")).text == "True cheap"


def test_wrong_passwords_are_rate_limited(site: HttpServer) -> None:
    """After ten wrong passwords an address has to wait, apart from users with a cached password."""
    assert get(site, ALICE).status_code == 200
    responses = [get(site, ("alice", f"guess {n}")) for n in range(12)]
    assert [response.status_code for response in responses] == [401] * 10 + [429] * 2
    assert 0 < int(responses[-1].headers["Retry-After"]) <= 6
    assert get(site, ("bob", "x" * 80)).status_code == 429
    assert get(site, ALICE).status_code == 200


def test_right_passwords_are_not_rate_limited(site: HttpServer) -> None:
    """A client with the right password never has to wait."""
    assert {get(site, user).status_code for user in [ALICE, ("bob", "x" * 80)] * 10} == {200}


def test_changed_users_apply_at_once(site: HttpServer, config: Path) -> None:
    """Users are added, removed and changed without a restart, cached passwords included."""
    assert get(site, ALICE).status_code == 200
    write(config, alice=bcrypt_hash("new"), carol=bcrypt_hash("new"))
    assert [get(site, user).status_code for user in (ALICE, ("alice", "new"))] == [401, 200]
    assert get(site, ("carol", "new")).text == "True carol"
    write(config, carol=bcrypt_hash("new"))
    assert get(site, ("alice", "new")).status_code == 401


def test_a_changed_symlink_is_a_change(tmp_path: Path) -> None:
    """Kubernetes replaces a symlink in the path; the file itself may have the same time."""
    for name, password in (("one", "1"), ("two", "2")):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "web.yml", alice=bcrypt_hash(password))
        os.utime(tmp_path / name / "web.yml", (0, 0))
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "web.yml").symlink_to("..data/web.yml")
    with http_server(tmp_path / "web.yml") as site:
        assert get(site, ("alice", "1")).status_code == 200
        (tmp_path / "..new").symlink_to("two")
        (tmp_path / "..new").replace(tmp_path / "..data")
        assert [get(site, ("alice", n)).status_code for n in "12"] == [401, 200]


@pytest.mark.parametrize(
    "content",
    ["", "# nothing\n", "basic_auth_users: 5\n", "basic_auth_users: {}\n", "---\n", "{", None],
)
def test_an_invalid_file_changes_nothing(
    site: HttpServer, config: Path, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The last valid config stays in effect, and the problem is logged once."""
    caplog.set_level(logging.INFO, "probe.server.web_config_watch")
    config.unlink() if content is None else config.write_text(content)
    assert [get(site, user).status_code for user in (None, ALICE, ALICE, None)] == [
        401,
        200,
        200,
        401,
    ]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    write(config, alice=bcrypt_hash("new"))
    assert get(site, ("alice", "new")).status_code == 200


def test_a_partially_written_file_admits_no_one(tmp_path: Path) -> None:
    """A file that is written in place never removes the users, at whatever length it is read."""
    path = tmp_path / "web.yml"
    content = (
        "http_server_config:\n  headers:\n    X-Frame-Options: deny\n"
        f"basic_auth_users:\n  alice: {bcrypt_hash('x')}\n"
    )
    path.write_text(content)
    with http_server(path) as site, requests.Session() as session:
        for length in range(len(content)):
            path.write_text(content[:length])
            assert session.get(f"http://{site.host}/", timeout=5).status_code == 401


def test_headers_of_the_web_config(tmp_path: Path) -> None:
    """Each response has them, including errors."""
    path = tmp_path / "web.yml"
    path.write_text(
        "http_server_config:\n  headers:\n"
        "    Strict-Transport-Security: max-age=60\n    X-Frame-Options: deny\n"
        f"basic_auth_users:\n  alice: {bcrypt_hash('x')}\n"
    )
    with http_server(path) as site:
        for auth in (None, ("alice", "x")):
            headers = get(site, auth).headers
            assert headers["Strict-Transport-Security"] == "max-age=60"
            assert headers["X-Frame-Options"] == "deny"


def test_daemon_uses_the_web_config(config: Path) -> None:
    """With `run --web.config.file` each path needs a password, including health checks."""
    with running("--url=http://127.0.0.1:9/", f"--web.config.file={config}") as daemon:
        for path in ("/metrics", "/-/healthy", "/-/ready", "/", "/probe?name=x"):
            assert daemon.get(path).status_code == 401
        auth = (ALICE[0], ALICE[1].encode().decode("latin-1"))  # requests encodes it so
        response = requests.get(f"{daemon.url}/metrics", auth=auth, timeout=10)
        assert response.status_code == 200


def test_daemon_rejects_an_invalid_web_config(tmp_path: Path) -> None:
    """The daemon does not start; the errors have locations, and do not contain the hash."""
    path = tmp_path / "web.yml"
    path.write_text("basic_auth_users:\n  alice: plain text\nrate_limit: {}\n")
    completed = invoke("run", "--url=http://127.0.0.1:9/", f"--web.config.file={path}")
    assert completed.returncode == 2
    first, second = completed.stderr.splitlines()
    assert first.startswith(f"{path}:2:10: basic_auth_users.alice: not a bcrypt hash")
    assert second.startswith(f"{path}:3:1: rate_limit: not honoured")
    missing = invoke("run", "--url=http://127.0.0.1:9/", "--web.config.file=/nowhere")
    assert (missing.returncode, missing.stderr) == (
        2,
        "/nowhere: cannot read the config: no such file or directory\n",
    )
