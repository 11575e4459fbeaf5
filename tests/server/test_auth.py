"""Users of a web config: who gets in, what it costs, and what happens when the file changes."""

import base64
import logging
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.commands import invoke, running
from tests.server.http_server_fixture import Door, door, hashed

ALICE = ("alice", "sesame: öffne dich")


def write(path: Path, **users: str) -> Path:
    """Put a file with these users in the place of the one that is there, as editors do."""
    lines = "".join(f"  {user}: {held}\n" for user, held in users.items())
    new = path.with_name("new")
    new.write_text(f"basic_auth_users:\n{lines}" if users else "basic_auth_users: {}\n")
    return new.replace(path)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write(tmp_path / "web.yml", alice=hashed(ALICE[1]), bob=hashed("x" * 80))


@pytest.fixture
def site(config: Path) -> Iterator[Door]:
    with door(config) as opened:
        yield opened


def get(site: Door, auth: tuple[str, str] | None = None, path: str = "/") -> requests.Response:
    encoded = None if auth is None else base64.b64encode(":".join(auth).encode()).decode()
    headers = {} if encoded is None else {"Authorization": f"Basic {encoded}"}
    return requests.get(f"http://{site.host}{path}", headers=headers, timeout=20)


def test_without_users_everybody_is_let_in_as_nobody() -> None:
    """Without a web config a request is served, and is not that of a user."""
    with door() as site:
        assert get(site).text == "False "


def test_a_user_is_known_to_the_pages(site: Door) -> None:
    """The right password lets a user in, and the application learns who it is."""
    assert get(site, ALICE).text == "True alice"


def test_programs_are_refused_in_their_own_form(site: Door) -> None:
    """Under /api/ a refusal is JSON: for want of a user, or of a request without a body."""
    unknown = get(site, path="/api/v1/probes")
    large = requests.get(f"http://{site.host}/api/v1/probes", data="{}", timeout=20)
    assert [unknown.status_code, large.status_code] == [401, 413]
    assert unknown.json() == {"error": "a user and a password are needed"}
    assert large.json() == {"error": "requests must not have a body"}


def test_a_password_counts_up_to_what_bcrypt_looks_at(site: Door) -> None:
    """72 bytes, as with htpasswd: a longer password is right, not an error."""
    assert get(site, ("bob", "x" * 80)).status_code == 200


@pytest.mark.parametrize("path", ["/", "/probe", "/nothing", "/metrics", "/-/healthy"])
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
def test_nobody_else_gets_in(site: Door, path: str, header: str | None) -> None:
    """Whatever is asked for, and wherever there is nothing: 401, and how to do it right."""
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = requests.get(f"http://{site.host}{path}", headers=headers, timeout=10)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="inference-probe", charset="UTF-8"'


def test_a_password_is_checked_once(tmp_path: Path) -> None:
    """After the first scrape the next ones do not pay for bcrypt."""
    with door(write(tmp_path / "web.yml", alice=hashed(ALICE[1], cost=12))) as site:
        began = time.monotonic()
        assert get(site, ALICE).status_code == 200
        first = time.monotonic() - began
        later = []
        for _ in range(10):
            began = time.monotonic()
            assert get(site, ALICE).status_code == 200
            later.append(time.monotonic() - began)
    assert first > 0.1
    assert statistics.median(later) < first / 4


def test_checking_blocks_nobody(tmp_path: Path) -> None:
    """While passwords are being checked for seconds, a known user is answered at once."""
    path = write(tmp_path / "web.yml", alice=hashed(ALICE[1]), bob=hashed("x", cost=13))
    with door(path) as site, ThreadPoolExecutor(3) as pool:
        assert get(site, ALICE).status_code == 200
        guesses = [pool.submit(get, site, ("bob", f"{n}")) for n in range(3)]
        time.sleep(0.1)
        began = time.monotonic()
        assert get(site, ALICE).status_code == 200
        assert time.monotonic() - began < 0.3
        assert not all(guess.done() for guess in guesses)
        assert [guess.result().status_code for guess in guesses] == [401] * 3


def test_an_unknown_user_takes_as_long(tmp_path: Path) -> None:
    """The time of a refusal does not tell who is a user."""
    path = write(tmp_path / "web.yml", alice=hashed(ALICE[1], cost=10))
    with door(path) as site:

        def seconds(user: str) -> float:
            began = time.monotonic()
            assert get(site, (user, "wrong")).status_code == 401
            return time.monotonic() - began

        pairs = [(seconds("alice"), seconds("mallory")) for _ in range(5)]
    known, unknown = (statistics.median(times) for times in zip(*pairs, strict=True))
    assert min(known, unknown) > 0.02
    assert 0.6 < known / unknown < 1.6


def test_guessing_is_slowed_down(site: Door) -> None:
    """After ten wrong passwords an address has to wait; whoever is known there does not."""
    assert get(site, ALICE).status_code == 200
    answers = [get(site, ("alice", f"guess {n}")) for n in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 6
    assert get(site, ("bob", "x" * 80)).status_code == 429
    assert get(site, ALICE).status_code == 200


def test_right_passwords_are_no_guesses(site: Door) -> None:
    """However often it asks, a client with the right password never has to wait."""
    assert {get(site, user).status_code for user in [ALICE, ("bob", "x" * 80)] * 10} == {200}


def test_a_change_of_the_file_holds_at_once(site: Door, config: Path) -> None:
    """Users come, go and change their passwords without a restart, remembered ones included."""
    assert get(site, ALICE).status_code == 200
    write(config, alice=hashed("new"), carol=hashed("new"))
    assert [get(site, who).status_code for who in (ALICE, ("alice", "new"))] == [401, 200]
    assert get(site, ("carol", "new")).text == "True carol"
    write(config, carol=hashed("new"))
    assert get(site, ("alice", "new")).status_code == 401


def test_a_symlink_swap_is_a_change(tmp_path: Path) -> None:
    """Kubernetes swaps a link on the way to the file; the file's own time may stay the same."""
    for name, password in (("one", "1"), ("two", "2")):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "web.yml", alice=hashed(password))
        os.utime(tmp_path / name / "web.yml", (0, 0))
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "web.yml").symlink_to("..data/web.yml")
    with door(tmp_path / "web.yml") as site:
        assert get(site, ("alice", "1")).status_code == 200
        (tmp_path / "..new").symlink_to("two")
        (tmp_path / "..new").replace(tmp_path / "..data")
        assert [get(site, ("alice", n)).status_code for n in "12"] == [401, 200]


@pytest.mark.parametrize(
    "content",
    ["", "# nothing\n", "basic_auth_users: 5\n", "basic_auth_users: {}\n", "---\n", "{", None],
)
def test_a_bad_file_changes_nothing(
    site: Door, config: Path, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever becomes of the file, the last good one holds; the log says so once."""
    caplog.set_level(logging.INFO, "probe.server.config_watch")
    config.unlink() if content is None else config.write_text(content)
    assert [get(site, who).status_code for who in (None, ALICE, ALICE)] == [401, 200, 200]
    assert get(site).status_code == 401
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    write(config, alice=hashed("new"))
    assert get(site, ("alice", "new")).status_code == 200


def test_half_a_file_opens_nothing(tmp_path: Path) -> None:
    """A file that is written in place lets nobody in, at whatever length it is read."""
    path = tmp_path / "web.yml"
    whole = (
        "http_server_config:\n  headers:\n    X-Frame-Options: deny\n"
        f"basic_auth_users:\n  alice: {hashed('x')}\n"
    )
    path.write_text(whole)
    with door(path) as site, requests.Session() as session:
        for length in range(len(whole)):
            path.write_text(whole[:length])
            assert session.get(f"http://{site.host}/", timeout=5).status_code == 401


def test_headers_of_the_web_config(tmp_path: Path) -> None:
    """They are on every answer, refusals included."""
    path = tmp_path / "web.yml"
    path.write_text(
        "http_server_config:\n  headers:\n"
        "    Strict-Transport-Security: max-age=60\n    X-Frame-Options: deny\n"
        f"basic_auth_users:\n  alice: {hashed('x')}\n"
    )
    with door(path) as site:
        for auth in (None, ("alice", "x")):
            headers = get(site, auth).headers
            assert headers["Strict-Transport-Security"] == "max-age=60"
            assert headers["X-Frame-Options"] == "deny"


def test_the_daemon_takes_a_web_config(config: Path) -> None:
    """`run --web.config.file` asks for a password, for /metrics and /-/healthy, too."""
    with running("--url=http://127.0.0.1:9/", f"--web.config.file={config}") as daemon:
        for path in ("/metrics", "/-/healthy", "/-/ready", "/", "/probe?name=x"):
            assert daemon.get(path).status_code == 401
        who = (ALICE[0], ALICE[1].encode().decode("latin-1"))  # which is how requests writes it
        answer = requests.get(f"{daemon.url}/metrics", auth=who, timeout=10)
        assert answer.status_code == 200


def test_a_bad_web_config_at_the_start(tmp_path: Path) -> None:
    """The daemon does not start, says what is wrong and where, and shows no hash."""
    path = tmp_path / "web.yml"
    path.write_text("basic_auth_users:\n  alice: plain text\nrate_limit: {}\n")
    ended = invoke("run", "--url=http://127.0.0.1:9/", f"--web.config.file={path}")
    assert ended.returncode == 2
    first, second = ended.stderr.splitlines()
    assert first.startswith(f"{path}:2:10: basic_auth_users.alice: not a bcrypt hash")
    assert second.startswith(f"{path}:3:1: rate_limit: not honoured")
    missing = invoke("run", "--url=http://127.0.0.1:9/", "--web.config.file=/nowhere")
    assert (missing.returncode, missing.stderr) == (
        2,
        "/nowhere: cannot read the config: no such file or directory\n",
    )
