"""The toy model, as a process and over real connections."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

import pytest
import requests

QUESTION = {"data": "sample_input"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    url: str
    admin: str


@contextmanager
def running(*arguments: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "probe.demo.model", "--port=0", "--admin-port=0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            url, admin = (process.stdout.readline().split()[-1] for _ in range(2))
            yield Running(url=url, admin=admin)
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def process() -> Iterator[Running]:
    with running() as model:
        yield model


@pytest.fixture
def model(process: Running) -> Iterator[Running]:
    yield process
    requests.delete(process.admin, timeout=5)


def become(model: Running, fault: str) -> None:
    assert requests.put(model.admin, data=fault, timeout=5).text == f"{fault}\n"


def timed(model: Running) -> tuple[requests.Response, float]:
    start = time.perf_counter()
    answer = requests.post(model.url, json=QUESTION, timeout=5)
    return answer, time.perf_counter() - start


def test_healthy(model: Running) -> None:
    """An answer is a result and a confidence, after 50 to 300 ms, of which the server tells."""
    answer, seconds = timed(model)
    assert answer.status_code == 200
    assert answer.json()["result"] in ("positive", "negative")
    assert 0 <= answer.json()["confidence"] <= 1
    timing = re.fullmatch(
        r"queue;dur=([\d.]+), compute;dur=([\d.]+)", answer.headers["Server-Timing"]
    )
    assert timing
    told = sum(map(float, timing.groups())) / 1000
    assert 0.049 <= told <= min(0.5, seconds)


def test_requests_overlap(model: Running) -> None:
    """Ten at once take as long as the slowest of them, not as long as all together."""
    address = urlsplit(model.url)
    connections = [HTTPConnection(address.netloc) for _ in range(10)]
    start = time.perf_counter()
    for connection in connections:
        connection.request("POST", address.path, '{"data": "x"}')
    answers: list[HTTPResponse] = [connection.getresponse() for connection in connections]
    assert time.perf_counter() - start < 10 * 0.05
    assert [answer.status for answer in answers] == [200] * 10
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '"data"', b"\xff"])
def test_bad_bodies(model: Running, body: str) -> None:
    """What is not JSON with `data` in it is a 400 that says so."""
    answer = requests.post(model.url, data=body, timeout=5)
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": 'send JSON such as {"data": "some text"}'},
    )


def test_other_paths_and_methods(model: Running) -> None:
    """404 and 405; the admin port's path is not on the model's port."""
    assert requests.post(f"{model.url}s", json=QUESTION, timeout=5).status_code == 404
    assert requests.put(model.url.replace("predict", "fault"), timeout=5).status_code == 404
    assert requests.get(model.url, timeout=5).status_code == 405


def test_slow(model: Running) -> None:
    """600 ms or more, and still a good answer."""
    become(model, "slow")
    answer, seconds = timed(model)
    assert answer.status_code == 200
    assert seconds >= 0.6


def test_errors(model: Running) -> None:
    """A 500, and fast."""
    become(model, "errors")
    answer, seconds = timed(model)
    assert answer.status_code == 500
    assert seconds < 0.3


def test_down_and_up_again(model: Running) -> None:
    """Nobody listens, and a connection that was kept alive is closed; healed on the same port."""
    with requests.Session() as session:
        assert session.post(model.url, json=QUESTION, timeout=5).ok
        become(model, "down")
        with pytest.raises(requests.ConnectionError):
            session.post(model.url, json=QUESTION, timeout=5)
        requests.delete(model.admin, timeout=5)
        assert session.post(model.url, json=QUESTION, timeout=5).ok


def test_tutorial(model: Running) -> None:
    """50 to 600 ms, the range of the usual examples: some answers take more than 300 ms."""
    become(model, "tutorial")
    seconds = [timed(model)[1] for _ in range(16)]
    assert max(seconds) > 0.3
    assert min(seconds) < 0.5


def test_unknown_fault(model: Running) -> None:
    """A 400 that names those that there are, and nothing has changed."""
    answer = requests.put(model.admin, data="sleepy", timeout=5)
    assert (answer.status_code, answer.text) == (400, "send one of: slow, errors, down, tutorial\n")
    assert requests.get(model.admin, timeout=5).text == "healthy\n"


def test_fault_by_the_clock() -> None:
    """--fault, --after and --for: healthy, then the fault, then healthy again."""
    with running("--fault=errors", "--after=2s", "--for=1s") as model:
        seen: list[str] = []
        deadline = time.monotonic() + 10
        while seen[-2:] != ["errors", "healthy"] and time.monotonic() < deadline:
            now = requests.get(model.admin, timeout=5).text.strip()
            seen += [now] if seen[-1:] != [now] else []
            time.sleep(0.05)
        assert seen == ["healthy", "errors", "healthy"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--fault=sleepy", "choose from 'slow', 'errors', 'down', 'tutorial'"),
        ("--after=30", "'30' is not a duration: write a number and a unit, as in 90s or 2m"),
        ("--host=no.such.host.invalid", "cannot listen on no.such.host.invalid"),
    ],
)
def test_bad_arguments(argument: str, message: str) -> None:
    """One message that says what is wrong, no traceback."""
    command = [sys.executable, "-m", "probe.demo.model", argument]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
