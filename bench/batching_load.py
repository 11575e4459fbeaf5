"""A load test of the toy model with batches, by `inference-probe load`."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from bench.processes import run_process
from probe.demo.batch_flags import format_batch_flags
from probe.demo.batch_queue import BatchSettings

# A shorter step has ended early. The warm-up of five seconds is not counted.
MIN_SECONDS = 30.0

BODY = '{"data": "sample_input"}'


class LoadTestError(Exception):
    """The load test could not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadStep:
    """Figures of a rate (requests per second). Times are seconds, and None if they are unknown.

    The times of the server are means over the requests.
    """

    rate: float
    seconds: float
    """Duration without the warm-up."""
    ended_early: bool
    """Whether the step missed its objective by far. Then `throughput` is not that of the model."""
    throughput: float
    p95_seconds: float | None
    queue_seconds: float | None
    compute_seconds: float | None
    is_void: bool
    """Whether the load generator was too late, because the machine was too busy."""

    @classmethod
    def of(cls, step: Mapping[str, Any], min_seconds: float) -> Self:
        """Return the figures in an element of `steps` of the JSON.

        It has ended early if it is shorter than `min_seconds`.
        """
        server = step["server"]
        return cls(
            rate=step["rate"],
            seconds=step["seconds"],
            ended_early=step["seconds"] < min_seconds,
            throughput=step["throughput"],
            p95_seconds=step["p95"],
            queue_seconds=server.get("queue"),
            compute_seconds=server.get("compute"),
            is_void=step["verdict"] == "void",
        )


@contextmanager
def serve_model(settings: BatchSettings) -> Iterator[str]:
    """Run the model with `settings` on a free port, and yield its URL."""
    command = (sys.executable, "-m", "probe.demo.model", "--model=batching", "--port=0")
    with run_process(*command, *format_batch_flags(settings)) as process:
        assert process.stdout
        yield process.stdout.readline().split()[-1]


def run_load(url: str, rates: Sequence[int], *, slo: str, step_seconds: int) -> list[LoadStep]:
    """Return the step of each of `rates`. Raises LoadTestError.

    The load test repeats a void step, so the last one counts.
    """
    command = (
        *(sys.executable, "-m", "probe", "load"),
        f"--url={url}",
        f"--json={BODY}",
        f"--slo={slo}",
        f"--rates={','.join(map(str, rates))}",
        f"--step-duration={step_seconds}s",
        "--output=json",
    )
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    # The exit code 1 means that no rate was confirmed.
    if done.returncode not in (0, 1) or not done.stdout:
        raise LoadTestError(f"inference-probe load exited with code {done.returncode}")
    steps = (
        LoadStep.of(step, MIN_SECONDS)
        for step in json.loads(done.stdout)["steps"]
        if not step["confirmation"]
    )
    return list({step.rate: step for step in steps}.values())
