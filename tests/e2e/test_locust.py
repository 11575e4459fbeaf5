"""Exported scripts run by Locust: a master with two workers, and a single process."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from probe.demo.stack import HOST, free_port
from probe.load.export_plan import ExportPlan
from probe.load.locust_script import render_locust
from probe.result import Signal
from tests.e2e.environments import install
from tests.load.export_cases import make_plan, objective
from tests.load.recording_server import LAST_CHUNK, STREAM_HEAD, Parts, record_requests, sse
from tests.servers import OK

pytestmark = [pytest.mark.full, pytest.mark.timing]

REQUIREMENTS = ("locust==2.47.0",)

TOKEN = 'se"cret'


@pytest.fixture(scope="session")
def locust(pytestconfig: pytest.Config) -> str:
    cache = pytestconfig.cache
    assert cache
    return str(install(cache.mkdir("locust"), sys.executable, REQUIREMENTS) / "locust")


def write_script(plan: ExportPlan, directory: Path) -> list[str]:
    """Write the script and return the flag for it. A busy machine makes no step void."""
    script = render_locust(plan).replace("MAX_LATE_RATIO = 0.01", "MAX_LATE_RATIO = 1")
    (directory / "locustfile.py").write_text(script)
    return ["--locustfile", str(directory / "locustfile.py")]


def environment() -> Mapping[str, str]:
    return {**os.environ, "MODEL_TOKEN": TOKEN, "PYTHONPATH": ""}


def verdicts(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines of the script about its steps."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("step_")]
    assert lines, done.stdout + done.stderr
    return lines


def numbers_of_requests(path: Path) -> dict[str, int]:
    """Return the number of requests in Locust's own statistics, by step."""
    return {entry["name"]: entry["num_requests"] for entry in json.loads(path.read_text())}


def test_master_and_workers_divide_the_rate(locust: str, tmp_path: Path) -> None:
    """Two workers send the rates of the steps together, and the master exits with 0.

    All requests that arrive are counted, half of them by each worker, at Poisson times.
    """
    with record_requests(lambda _: [(0.01, OK)]) as server:
        plan = make_plan(
            tmp_path,
            environ={"MODEL_TOKEN": TOKEN},
            url=f"{server.url}predict",
            headers={"Authorization": "Bearer ${env:MODEL_TOKEN}"},
            json={"id": "{{sequence}}"},
            timeout="1s",
            rates=(40, 80),
            step_seconds=2,
            objectives=[objective(0.9, threshold_seconds=None)],
        )
        script = write_script(plan, tmp_path)
        port = f"={free_port()}"
        workers = [
            subprocess.Popen(
                [locust, *script, "--worker", f"--master-host={HOST}", f"--master-port{port}"],
                env=environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
            )
            for _ in range(2)
        ]
        try:
            done = subprocess.run(
                [
                    *[locust, *script, "--headless", "--master", "--expect-workers=2"],
                    *[f"--master-bind-host={HOST}", f"--master-bind-port{port}"],
                    f"--json-file={tmp_path / 'stats'}",
                ],
                env=environment(),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert [worker.wait(20) for worker in workers] == [0, 0]
        finally:
            for worker in workers:
                worker.kill()
    counted = numbers_of_requests(next(tmp_path.glob("stats*")))
    assert verdicts(done) == [f"{step}: met ({counted[step]} requests)" for step in counted]
    assert done.returncode == 0
    assert sum(counted.values()) == len(server.requests)
    _check_arrivals(server.requests, counted)


def _check_arrivals(requests: list[Any], counted: Mapping[str, int]) -> None:
    first, second = counted.values()
    # Five standard deviations of the number of Poisson arrivals.
    assert abs(first - 80) < 45
    assert abs(second - 160) < 64
    numbers = [int(json.loads(request.body)["id"]) for request in requests]
    assert len(set(numbers)) == len(numbers), "two workers have used the same {{sequence}}"
    odd = sum(number % 2 for number in numbers)
    assert 0.3 < odd / len(numbers) < 0.7, "one worker has sent most of the requests"
    assert {dict(request.headers)["Authorization"] for request in requests} == {f"Bearer {TOKEN}"}
    received = sorted(request.received for request in requests)[:first]
    gaps = [after - before for before, after in pairwise(received)]
    assert 0.6 < statistics.pstdev(gaps) / statistics.mean(gaps) < 1.5, "not Poisson arrivals"


def test_objective_on_the_first_token_is_missed(locust: str, tmp_path: Path) -> None:
    """Locust exits with 1 if a step misses an objective, without the requests of the warm-up.

    Every fourth stream has a late first token, and no stream is late as a whole.
    """

    def respond(number: int) -> Parts:
        delay = 1.5 if number % 4 == 0 else 0.0
        tokens = [json.dumps({"choices": [{"delta": {"content": text}}]}) for text in "ab"]
        end = json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        return [
            (0, STREAM_HEAD),
            (delay, sse(tokens[0])),
            (0.05, sse(tokens[1], end, "[DONE]") + LAST_CHUNK),
        ]

    with record_requests(respond) as server:
        plan = make_plan(
            tmp_path,
            url=f"{server.url}v1",
            protocol={"openai-chat": {"model": "m", "prompt": "p"}},
            connection="reuse",
            timeout="2500ms",
            rates=(20,),
            step_seconds=2,
            warm_up_seconds=0.5,
            arrivals="uniform",
            objectives=[
                objective(0.95, threshold_seconds=2.4),
                objective(0.95, Signal.TIME_TO_FIRST_TOKEN, 1),
            ],
        )
        done = subprocess.run(
            [locust, *write_script(plan, tmp_path), "--headless"],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    name = "95% time_to_first_token < 1s"
    assert len(server.requests) == 40
    assert verdicts(done)[0].startswith(f"step_1_at_20_per_s: missed: {name}, but ")
    assert verdicts(done)[0].endswith(" of 30 are bad (30 requests)")
    assert done.returncode == 1
