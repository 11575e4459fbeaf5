"""The toy server of a language model, as a process, probed with the config of the demo."""

from collections.abc import Iterator

import pytest
import requests
import yaml

from probe.demo import files
from probe.demo.fault import Fault, ModelType
from probe.result import Phase, Reason, Result
from tests.demo.test_model import Running, running, set_fault
from tests.probing import detail, reason, run

pytestmark = pytest.mark.timing


@pytest.fixture(scope="module")
def process() -> Iterator[Running]:
    with running("--model=llm") as model:
        yield model


@pytest.fixture
def model(process: Running) -> Iterator[Running]:
    yield process
    requests.delete(process.admin, timeout=5)


def probe(model: Running) -> Result:
    """Return the result of the demo's probe."""
    (entry,) = yaml.safe_load(files.probe(1, url=model.url, model=ModelType.LLM))["probes"]
    del entry["name"]
    return run(entry.pop("url"), **entry)


def test_healthy(model: Running) -> None:
    """The headers come at once, the first token after 50 ms, and the others every 10 to 30 ms."""
    result = probe(model)
    assert (reason(result), result.status) == (None, 200)
    assert result.stream
    assert result.phases[Phase.FIRST_TOKEN] >= 0.05  # it begins after the headers
    assert result.stream.time_per_output_token
    assert result.stream.time_per_output_token >= 0.01
    assert result.stream.tokens.output == 16
    assert result.stream.finish_reason == "length"


def test_slow_first_token(model: Running) -> None:
    """The first token takes at least 600 ms, and the others are as fast as before."""
    set_fault(model, "slow-first-token")
    result = probe(model)
    assert reason(result) is None
    assert result.stream
    assert result.stream.time_to_first_token
    assert result.stream.time_to_first_token >= 0.6
    assert result.stream.time_per_output_token
    assert result.stream.time_per_output_token < 0.1


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.STALL, Reason.STALL_TIMEOUT),
        (Fault.TRUNCATED, Reason.TRUNCATED),
        (Fault.STREAM_ERROR, Reason.STREAM_ERROR),
    ],
)
def test_faults_after_the_third_token(model: Running, fault: Fault, expected: Reason) -> None:
    """A fault in the middle of a stream has its own reason, although the status is 200."""
    set_fault(model, fault)
    result = probe(model)
    assert (reason(result), result.status) == (expected, 200)
    assert result.stream
    # The first chunk has the role, and no token.
    assert result.stream.chunks in (4, 5 if fault is Fault.STREAM_ERROR else 4)


def test_text_of_the_error(model: Running) -> None:
    """The detail of the failure is the message in the stream."""
    set_fault(model, "stream-error")
    assert "CUDA out of memory" in detail(probe(model))


@pytest.mark.parametrize(
    "body",
    ["", "[]", b"\xff", "{}", '{"messages": [1]}', '{"messages": [1], "stream": false}'],
)
def test_bad_bodies(model: Running, body: str | bytes) -> None:
    """A body that is no request for a stream gets a 400 that says what to send."""
    response = requests.post(model.url, data=body, timeout=5)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("send JSON such as")


def test_faults_of_the_classifier_are_unknown(model: Running) -> None:
    """A fault of the other model gets a 400 that lists the faults of this one."""
    response = requests.put(model.admin, data="slow", timeout=5)
    assert (response.status_code, response.text) == (
        400,
        "send one of: slow-first-token, stall, truncated, stream-error\n",
    )
