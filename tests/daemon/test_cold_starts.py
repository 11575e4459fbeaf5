"""Cold starts in a running daemon: none counts in objectives, and all are in the histogram."""

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.activator import Activator, serving
from tests.commands import Running, running
from tests.demo import test_model as toy_model
from tests.http.conftest import serve
from tests.raw_servers import Peer, http_response

__all__ = ["serve"]

pytestmark = pytest.mark.timing

COLD_COUNT = "inference_probe_cold_start_seconds_count"
COLD, RUNS = f'{COLD_COUNT}{{probe="m"}}', 'inference_probe_runs_total{probe="m"}'
OBJECTIVE = {"name": "fast", "target": "99%", "latency": "600ms"}

# Times of loading in responses of Ollama (ns).
LOADED, NOT_LOADED = 5_025_959, 6_338_219_291


def start(directory: Path, **keys: Any) -> Any:
    """Return a context with a daemon that has one probe with these keys."""
    probe = {"name": "m", "objectives": [OBJECTIVE], **keys}
    path = directory / "probe.yml"
    path.write_text(yaml.safe_dump({"probes": [probe]}))
    return running(f"--config.file={path}")


def scrape(daemon: Running) -> Mapping[str, float]:
    """Return the values of all series in one scrape."""
    lines = daemon.get("/metrics").text.splitlines()
    parts = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {series: float(value) for series, _, value in parts}


def assert_none_counts(daemon: Running, values: Mapping[str, float]) -> None:
    """Fail unless cold starts are in no objective and in no other histogram. No run is failed."""
    counted = values[RUNS] - values[COLD]
    name = "inference_probe_latency_seconds"
    assert values[f'{name}_count{{probe="m",outcome="success"}}'] == counted
    assert values[f'{name}_bucket{{probe="m",outcome="success",le="0.6"}}'] == counted
    assert values[f'{name}_count{{probe="m",outcome="failure"}}'] == 0
    (probe,) = daemon.get("/api/v1/probes").json()["probes"]
    window = probe["objectives"][0]["windows"]["1h"]
    assert window["bad"] == 0
    assert window["good"] >= counted


@pytest.fixture(scope="module")
def model() -> Iterator[toy_model.Running]:
    with toy_model.running() as model:
        yield model


def test_activator_with_a_header(tmp_path: Path, model: toy_model.Running) -> None:
    """The toy model is scaled to zero every 2 seconds, and each request that waits says so."""
    activator = Activator(
        model.url.removesuffix("/predict"), idle_seconds=0.9, start_seconds=0.7, has_header=True
    )
    cold = {"after_idle": "1s", "probe": True, "interval": "2s"}
    with (
        serving(activator) as url,
        start(
            tmp_path, url=f"{url}/predict", json={"data": "x"}, interval="300ms", cold=cold
        ) as daemon,
    ):
        daemon.wait_for(COLD_COUNT, 4)
        daemon.wait_for('inference_probe_suspended{probe="m",reason="cold"}', 1)
        # No request is in flight.
        values = scrape(daemon)
        assert values[COLD] == activator.cold_requests >= 4
        assert_none_counts(daemon, values)
        assert daemon.total('inference_probe_skipped_total{probe="m",reason="cold"}') > 2


@pytest.mark.full
def test_activator_without_a_header(tmp_path: Path, model: toy_model.Running) -> None:
    """The first request after an idle time is a cold start, because it is slow."""
    activator = Activator(
        model.url.removesuffix("/predict"), idle_seconds=1.9, start_seconds=0.6, has_header=False
    )
    cold = {"after_idle": "2s", "probe": True, "interval": "8s"}
    with (
        serving(activator) as url,
        start(
            tmp_path, url=f"{url}/predict", json={"data": "x"}, interval="1s", cold=cold
        ) as daemon,
    ):
        daemon.wait_for(COLD_COUNT, 2, seconds=30)
        values = scrape(daemon)
        assert values[COLD] == activator.cold_requests == 2
        assert_none_counts(daemon, values)


def ollama(load_duration: int) -> bytes:
    """Return a response of Ollama."""
    events: list[Mapping[str, Any]] = [
        {"model": "llama3.2", "message": {"role": "assistant", "content": "pong"}, "done": False},
        {
            "model": "llama3.2",
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "total_duration": load_duration + 80_000_000,
            "load_duration": load_duration,
            "prompt_eval_count": 26,
            "eval_count": 2,
        },
    ]
    body = "".join(json.dumps(event) + "\n" for event in events).encode()
    return http_response(body, "Content-Type: application/x-ndjson", "Connection: close")


def test_responses_of_ollama(tmp_path: Path, serve: Any) -> None:
    """Each fourth response had to wait until the model was loaded."""
    numbers = itertools.count()

    def script(peer: Peer) -> None:
        if peer.request():
            peer.send(ollama(LOADED if next(numbers) % 4 else NOT_LOADED))

    protocol = {"ollama-chat": {"model": "llama3.2", "prompt": "Reply with: pong"}}
    url = serve(script).url("")
    with start(tmp_path, url=url, protocol=protocol, interval="100ms", timeout="1s") as daemon:
        daemon.wait_for(COLD_COUNT, 3)
        values = scrape(daemon)
        assert values[COLD] == -(-values[RUNS] // 4)
        assert_none_counts(daemon, values)
        tokens = "inference_probe_time_to_first_token_seconds_count"
        counted = values[f'{tokens}{{probe="m",outcome="success"}}']
        assert counted == values[RUNS] - values[COLD]
