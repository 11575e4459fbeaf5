"""Other tools that search for the limit of a queue in real time.

Locust measures the steps of a usual search. guidellm searches by itself, with its goodput profile:
for the highest number of requests in flight, which it calls streams.
"""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.load_real_time import Endpoint, served
from bench.load_searches import USUAL_STEP_SECONDS, Answer, search_usually
from bench.stream_peers import ENVIRONMENTS, PeerError
from tests.e2e.environments import install

# For the start and the end of a program. guidellm starts processes for each step.
EXTRA_SECONDS = 300

# The goodput profile has up to 15 steps.
MAX_GUIDELLM_SECONDS = 1200

PROMPTS = 20_000

# Each user waits for a second on average, and then for its response. With `constant_throughput(1)`
# the requests of all users would be sent at the same time, once a second.
_LOCUSTFILE = """
from locust import FastHttpUser, between, task

class Client(FastHttpUser):
    wait_time = between(0.5, 1.5)

    @task
    def send(self):
        self.client.request({method!r}, {path!r}, data={body!r}, headers={headers!r})
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPeer:
    """A tool. `search` gets the directory of its programs, the endpoint and one for its files."""

    name: str
    requirements: tuple[str, ...]
    search: Callable[[Path, Endpoint, Path], tuple[float | None, int]]
    queues: tuple[str, ...]

    def measure(self, queue: str) -> Answer:
        """Search for the limit of `queue`. Raises PeerError if it cannot be installed or run."""
        ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
        try:
            programs = install(ENVIRONMENTS, sys.executable, self.requirements)
        except AssertionError as error:
            raise PeerError(f"{self.name} cannot be installed: {error}") from None
        with TemporaryDirectory() as directory, served(queue) as endpoint:
            started = time.monotonic()
            rate, requests = self.search(programs, endpoint, Path(directory))
            return Answer(rate=rate, seconds=time.monotonic() - started, requests=requests)


def _search_with_locust(
    programs: Path, endpoint: Endpoint, directory: Path
) -> tuple[float | None, int]:
    """Return the highest throughput of a met step, and the number of requests."""
    file = directory / "locustfile.py"
    file.write_text(locustfile(endpoint))
    met, requests = [], 0

    def is_met(rate: float) -> bool:
        nonlocal requests
        users = str(round(rate))
        command = (
            *(str(programs / "locust"), f"--locustfile={file}", f"--host={endpoint.url}"),
            *("--headless", "--users", users, "--spawn-rate", users, "--json", "--skip-log"),
            f"--run-time={USUAL_STEP_SECONDS:g}s",
        )
        (statistics,) = json.loads(_run(command, directory, USUAL_STEP_SECONDS))
        requests += statistics["num_requests"]
        if percentile_95(statistics) > 1000 * endpoint.queue.threshold_seconds:
            return False
        met.append(statistics["num_requests"] / USUAL_STEP_SECONDS)
        return True

    search_usually(is_met, endpoint.queue.first_rate)
    return max(met, default=None), requests


def locustfile(endpoint: Endpoint) -> str:
    """Return the script of Locust with the request of `endpoint`."""
    return _LOCUSTFILE.format(
        method="GET" if endpoint.body is None else "POST",
        path=endpoint.url,
        body=endpoint.body,
        headers={"Content-Type": "application/json"},
    )


def percentile_95(statistics: Mapping[str, Any]) -> float:
    """Return the 95th percentile of Locust's rounded response times (ms). Infinite: none."""
    times = {float(time): count for time, count in statistics["response_times"].items()}
    rank = 0.95 * sum(times.values())
    seen = 0
    for milliseconds in sorted(times):
        seen += times[milliseconds]
        if seen >= rank:
            return milliseconds
    return math.inf


def _search_with_guidellm(
    programs: Path, endpoint: Endpoint, directory: Path
) -> tuple[float | None, int]:
    """Return the throughput with the most streams that met the objective, and the requests."""
    prompts, output = directory / "prompts.jsonl", directory / "guidellm.json"
    prompts.write_text('{"prompt": "ba de fi"}\n' * PROMPTS)
    slo = {"e2el_ms": 1000 * endpoint.queue.threshold_seconds}
    command = (
        *(str(programs / "guidellm"), "run", "--profile=kind=goodput", "--disable-console"),
        f"--backend=kind=openai_http,target={endpoint.url.rstrip('/')},model=queue,stream=false",
        f"--metrics={json.dumps({'kind': 'generative', 'slo': slo})}",
        f"--constraint=kind=max_duration,seconds={USUAL_STEP_SECONDS:g}",
        f"--data=kind=json_file,path={prompts}",
        f"--output=kind=json,path={output}",
    )
    _run(command, directory, MAX_GUIDELLM_SECONDS)
    metrics = [step["metrics"] for step in json.loads(output.read_text())["benchmarks"]]
    met = [
        step["requests_per_second"]["successful"]["mean"]
        for step in metrics
        if step["slo_attainment"] >= endpoint.queue.objective.target
    ]
    requests = sum(step["request_totals"]["total"] for step in metrics)
    return max(met, default=None), requests


def _run(command: Sequence[str], directory: Path, seconds: float) -> str:
    """Return the output of the command. Locust exits with 1 if a request fails."""
    done = subprocess.run(
        command,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=seconds + EXTRA_SECONDS,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise PeerError(f"{command[0]} exited with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


PEERS = (
    LoadPeer(
        name="Locust",
        requirements=("locust==2.47.0",),
        search=_search_with_locust,
        queues=("M/M/4", "M/D/1", "batches"),
    ),
    LoadPeer(
        name="guidellm",
        requirements=("guidellm==0.8.1", "torch==2.13.0"),
        search=_search_with_guidellm,
        queues=("M/M/4",),
    ),
)
