"""The toy model with batches, as a process."""

import re
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
import requests
import yaml

from probe.demo import files
from probe.demo.fault import ModelType
from probe.result import Component
from tests.demo.test_model import BODY, Running, running, set_fault, timed
from tests.probing import reason, run

pytestmark = pytest.mark.timing

SERVER_TIMING = re.compile(r'queue;dur=([\d.]+), compute;dur=([\d.]+), batch;desc="(\d+)"')

REQUEST = (
    b'POST /predict HTTP/1.1\r\nHost: model\r\ncontent-length: 24\r\n\r\n{"data": "sample_input"}'
)


@pytest.fixture(scope="module")
def process() -> Iterator[Running]:
    with running("--model=batching", "--max-batch-size=3", "--max-wait=30ms") as model:
        yield model


@pytest.fixture
def model(process: Running) -> Iterator[Running]:
    yield process
    requests.delete(process.admin, timeout=5)


def batch_times(header: str | None) -> tuple[float, float, int]:
    """Return the times (ms) and the batch size in the header Server-Timing."""
    timing = SERVER_TIMING.fullmatch(header or "")
    assert timing
    return float(timing[1]), float(timing[2]), int(timing[3])


def post_together(model: Running, count: int) -> list[tuple[float, float, int]]:
    """Send requests on as many connections, and return their times and batch sizes."""
    address = urlsplit(model.url)
    connections = [HTTPConnection(address.netloc) for _ in range(count)]
    for connection in connections:
        connection.connect()
    for connection in connections:
        connection.request("POST", address.path, '{"data": "x"}')
    times = [
        batch_times(connection.getresponse().getheader("Server-Timing"))
        for connection in connections
    ]
    for connection in connections:
        connection.close()
    return times


def test_single_request(model: Running) -> None:
    """A request waits for others for the maximum wait, and then takes 10 ms."""
    response, seconds = timed(model)
    assert response.status_code == 200
    assert batch_times(response.headers["Server-Timing"]) == (30.0, 10.0, 1)
    assert 0.040 <= seconds < 0.140
    assert response.json()["result"] in ("positive", "negative")


def test_full_batch(model: Running) -> None:
    """Three requests fill a batch, which starts without a wait for others and takes 18 ms."""
    times = post_together(model, 3)
    assert {(compute, size) for _, compute, size in times} == {(18.0, 3)}
    assert min(queue for queue, _, _ in times) == 0


def test_one_batch_at_a_time(model: Running) -> None:
    """The requests of the second batch wait for the first one."""
    first, second = post_together(model, 6)[::3]
    assert (first[2], second[2]) == (3, 3)
    assert second[0] > first[0] + 10


def test_unbatched() -> None:
    """With a batch size of 1 each request takes 10 ms, one after the other."""
    with running("--model=batching", "--max-batch-size=1") as model:
        times = post_together(model, 4)
    assert {(compute, size) for _, compute, size in times} == {(10.0, 1)}
    assert max(queue for queue, _, _ in times) > 20


def test_probe(model: Running) -> None:
    """The demo's probe succeeds, and ignores the batch size in Server-Timing."""
    (entry,) = yaml.safe_load(files.probe(1, url=model.url, model=ModelType.BATCHING))["probes"]
    del entry["name"]
    result = run(entry.pop("url"), **entry)
    assert reason(result) is None
    assert result.server == pytest.approx({Component.QUEUE: 0.030, Component.COMPUTE: 0.010})
    assert result.server_ignored == 0


def test_errors(model: Running) -> None:
    """With the fault `errors` a response is a 500 that was in no batch."""
    set_fault(model, "errors")
    response = requests.post(model.url, json=BODY, timeout=5)
    assert (response.status_code, response.json()) == (500, {"error": "the model is out of order"})
    assert "Server-Timing" not in response.headers


def test_down_and_up_again(model: Running) -> None:
    """The fault `down` closes the port and idle connections. The same port opens again."""
    with requests.Session() as session:
        assert session.post(model.url, json=BODY, timeout=5).ok
        set_fault(model, "down")
        with pytest.raises(requests.ConnectionError):
            session.post(model.url, json=BODY, timeout=5)
        requests.delete(model.admin, timeout=5)
        assert session.post(model.url, json=BODY, timeout=5).ok


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '"data"', b"\xff"])
def test_bad_bodies(model: Running, body: str) -> None:
    """A body that is not JSON with the key `data` gets a 400 with a message."""
    response = requests.post(model.url, data=body, timeout=5)
    assert (response.status_code, response.json()) == (
        400,
        {"error": 'send JSON such as {"data": "some text"}'},
    )


def test_other_paths_and_methods(model: Running) -> None:
    """Other paths and methods get 404 and 405."""
    assert requests.post(f"{model.url}s", json=BODY, timeout=5).status_code == 404
    response = requests.get(model.url, timeout=5)
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


def test_client_that_gives_up(model: Running) -> None:
    """A request without a client keeps its place in the batch, and the server keeps running."""
    address = urlsplit(model.url)
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(REQUEST)
    times = post_together(model, 2)
    assert [size for _, _, size in times] == [3, 3]
    assert batch_times(timed(model)[0].headers["Server-Timing"])[2] == 1


def test_pipelined_requests(model: Running) -> None:
    """Requests that arrive together, or in parts, are processed one after the other."""
    address = urlsplit(model.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as client:
        client.sendall(REQUEST + REQUEST + REQUEST[:20])
        time.sleep(0.1)
        client.sendall(REQUEST[20:])
        received = b""
        while received.count(b'"confidence"') < 3:
            received += client.recv(65536)
    assert received.count(b'batch;desc="1"') == 3


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"POST /predict HTTP/2.0\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /predict HTTP/1.1\r\n" + b"x" * 1024 * 1024,
    ],
)
def test_unreadable_requests(model: Running, head: bytes) -> None:
    """A request that is not HTTP/1.1, has no length, or is too long gets a 400, and is the last."""
    address = urlsplit(model.url)
    with socket.create_connection((address.hostname, address.port), timeout=5) as client:
        client.sendall(head)
        response = client.makefile("rb").read()
    assert response.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nConnection: close\r\n" in response


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_end_of_connections(model: Running, version: str) -> None:
    """A connection of HTTP/1.0, or with `Connection: close`, is closed after the response."""
    address = urlsplit(model.url)
    head = f"GET /predict HTTP/{version}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection((address.hostname, address.port), timeout=5) as client:
        client.sendall(head)
        assert b"405 Method Not Allowed" in client.makefile("rb").read()
