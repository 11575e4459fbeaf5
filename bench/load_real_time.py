"""Searches of `inference-probe load` for the limits of queues that are served in real time."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.load_queues import BATCHES, QUEUES, Queue
from bench.load_searches import MAX_SECONDS, Answer
from bench.processes import run_process
from probe.load.verdict import Verdict

# The command may take longer than its search: for its start, and for the last requests.
EXTRA_SECONDS = 120

# The model with batches is that of `inference-probe demo`. It needs a body.
BATCHING_MODEL = ("-m", "probe.demo.model", "--model=batching", "--port=0")
BATCHING_BODY = '{"data": "sample_input"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A queue that is served."""

    queue: Queue
    url: str
    body: str | None
    """The JSON body of a POST request. None: the method is GET."""


@contextmanager
def served(name: str) -> Iterator[Endpoint]:
    """Serve the queue `name` until the end of the block."""
    is_batching = name == BATCHES
    server = BATCHING_MODEL if is_batching else ("-m", "bench.queue_server", name)
    with run_process(sys.executable, *server) as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        yield Endpoint(queue=QUEUES[name], url=url, body=BATCHING_BODY if is_batching else None)


def search_in_real_time(name: str) -> Answer:
    """Run `inference-probe load` with its defaults."""
    with served(name) as endpoint:
        body = () if endpoint.body is None else (f"--json={endpoint.body}",)
        return run_search(f"--url={endpoint.url}", f"--slo={endpoint.queue.objective.text}", *body)


def run_search(*arguments: str) -> Answer:
    """Run `inference-probe load` with `arguments`."""
    started = time.monotonic()
    command = (sys.executable, "-m", "probe", "load", "--output=json", *arguments)
    document = json.loads(_run(command))
    steps = document["steps"]
    return Answer(
        rate=document["safe_rate"],
        seconds=time.monotonic() - started,
        requests=sum(step["offered"] for step in steps),
        reason=document["reason"],
        void_steps=sum(step["verdict"] == Verdict.VOID for step in steps),
    )


def _run(command: Sequence[str]) -> str:
    """Return the output of the command. Its exit code is 1 if no rate is confirmed."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=MAX_SECONDS + EXTRA_SECONDS,
        check=False,
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)
    if not done.stdout:
        raise RuntimeError(f"{' '.join(command)} exited with {done.returncode}")
    return done.stdout
