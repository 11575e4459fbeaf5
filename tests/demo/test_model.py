"""The toy model as a process, over real connections."""

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

pytestmark = pytest.mark.timing

BODY = {"data": "sample_input"}


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


def set_fault(model: Running, fault: str) -> None:
    assert requests.put(model.admin, data=fault, timeout=5).text == f"{fault}\n"


def timed(model: Running) -> tuple[requests.Response, float]:
    start = time.perf_counter()
    response = requests.post(model.url, json=BODY, timeout=5)
    return response, time.perf_counter() - start


def test_healthy(model: Running) -> None:
    """The response has a result and a confidence, and a Server-Timing header with the true time."""
    response, seconds = timed(model)
    assert response.status_code == 200
    assert response.json()["result"] in ("positive", "negative")
    assert 0 <= response.json()["confidence"] <= 1
    timing = re.fullmatch(
        r"queue;dur=([\d.]+), compute;dur=([\d.]+)", response.headers["Server-Timing"]
    )
    assert timing
    reported = sum(map(float, timing.groups())) / 1000
    assert 0.049 <= reported <= min(0.5, seconds)


def test_requests_overlap(model: Running) -> None:
    """Ten concurrent requests take as long as the slowest one, not as long as all in sequence."""
    address = urlsplit(model.url)
    connections = [HTTPConnection(address.netloc) for _ in range(10)]
    start = time.perf_counter()
    for connection in connections:
        connection.request("POST", address.path, '{"data": "x"}')
    responses: list[HTTPResponse] = [connection.getresponse() for connection in connections]
    assert time.perf_counter() - start < 10 * 0.05
    assert [response.status for response in responses] == [200] * 10
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '"data"', b"\xff"])
def test_bad_bodies(model: Running, body: str) -> None:
    """A body that is not JSON with the key `data` gets a 400 with a message."""
    response = requests.post(model.url, data=body, timeout=5)
    assert (response.status_code, response.json()) == (
        400,
        {"error": 'send JSON such as {"data": "some text"}'},
    )


def test_other_paths_and_methods(model: Running) -> None:
    """Other paths and methods get 404 and 405, also the path of the admin port."""
    assert requests.post(f"{model.url}s", json=BODY, timeout=5).status_code == 404
    assert requests.put(model.url.replace("predict", "fault"), timeout=5).status_code == 404
    assert requests.get(model.url, timeout=5).status_code == 405


def test_slow(model: Running) -> None:
    """With the fault `slow` a response is correct and takes at least 600 ms."""
    set_fault(model, "slow")
    response, seconds = timed(model)
    assert response.status_code == 200
    assert seconds >= 0.6


def test_errors(model: Running) -> None:
    """With the fault `errors` a response is a fast 500."""
    set_fault(model, "errors")
    response, seconds = timed(model)
    assert response.status_code == 500
    assert seconds < 0.3


def test_down_and_up_again(model: Running) -> None:
    """The fault `down` closes the port and idle connections. The same port opens again."""
    with requests.Session() as session:
        assert session.post(model.url, json=BODY, timeout=5).ok
        set_fault(model, "down")
        with pytest.raises(requests.ConnectionError):
            session.post(model.url, json=BODY, timeout=5)
        requests.delete(model.admin, timeout=5)
        assert session.post(model.url, json=BODY, timeout=5).ok


def test_tutorial(model: Running) -> None:
    """With the fault `tutorial` some responses take more than 300 ms."""
    set_fault(model, "tutorial")
    seconds = [timed(model)[1] for _ in range(16)]
    assert max(seconds) > 0.3
    assert min(seconds) < 0.5


def test_unknown_fault(model: Running) -> None:
    """An unknown fault gets a 400 that lists the faults, and changes nothing."""
    response = requests.put(model.admin, data="sleepy", timeout=5)
    assert (response.status_code, response.text) == (
        400,
        "send one of: slow, errors, down, tutorial\n",
    )
    assert requests.get(model.admin, timeout=5).text == "healthy\n"


def test_fault_from_the_command_line() -> None:
    """--fault, --after and --for set and clear the fault."""
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
        ("--fault=stall", "--fault=stall needs --model=llm"),
        ("--max-wait=20ms", "--max-wait needs --model=batching"),
        ("--after=30", 'not a duration: "30"; write a number with a unit'),
        ("--host=no.such.host.invalid", "cannot listen on no.such.host.invalid"),
    ],
)
def test_bad_arguments(argument: str, message: str) -> None:
    """A bad argument gives one message without a traceback."""
    command = [sys.executable, "-m", "probe.demo.model", argument]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
