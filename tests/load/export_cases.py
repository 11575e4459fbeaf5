"""Plans of exported scripts for the tests, and the golden files of two of them.

`python -m tests.load.export_cases` writes the golden files.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from probe.config.loader import load
from probe.load.arrivals import Arrivals
from probe.load.export_plan import ExportPlan
from probe.load.k6_script import render_k6
from probe.load.locust_script import render_locust
from probe.load.objective import LoadObjective
from probe.result import Signal

GOLDEN_FILES = Path(__file__).parent.parent / "testdata" / "export"

SECRET = "not-for-scripts"


def objective(
    target: float = 0.95,
    signal: Signal = Signal.LATENCY,
    threshold_seconds: float | None = 0.12,
) -> LoadObjective:
    """Return an objective, by default that 95 % of the requests succeed within 120 ms."""
    return LoadObjective(target=target, signal=signal, threshold_seconds=threshold_seconds)


def make_plan(
    directory: Path,
    *,
    environ: Mapping[str, str] | None = None,
    objectives: Sequence[LoadObjective] = (objective(),),
    rates: Sequence[float] = (50, 100),
    max_error_ratio: float | None = 0.001,
    arrivals: str = "poisson",
    warm_up_seconds: float = 0,
    step_seconds: float = 30,
    max_in_flight: int = 200,
    **keys: Any,
) -> ExportPlan:
    """Return a plan for a probe with these config keys."""
    path = directory / "probe.yml"
    probe = {"name": "model", "url": "http://127.0.0.1:8000/predict", **keys}
    path.write_text(yaml.safe_dump({"probes": [probe]}, sort_keys=False))
    return ExportPlan(
        probe=load(path, environ=environ or {}).probes[0],
        rates=rates,
        step_seconds=step_seconds,
        objectives=objectives,
        max_error_ratio=max_error_ratio,
        arrivals=Arrivals(arrivals),
        max_in_flight=max_in_flight,
        warm_up_seconds=warm_up_seconds,
    )


def json_plan(directory: Path) -> ExportPlan:
    """Return the plan of a plain JSON request with a secret."""
    return make_plan(
        directory,
        environ={"MODEL_TOKEN": SECRET},
        name="iris",
        url="http://model:8080/v1/models/iris:predict",
        headers={"Authorization": "Bearer ${env:MODEL_TOKEN}"},
        json={"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]], "id": "{{nonce}}"},
        expect={"json": {"$.predictions": {"exists": True}}},
        warm_up_seconds=10,
    )


def chat_plan(directory: Path) -> ExportPlan:
    """Return the plan of a stream of tokens."""
    return make_plan(
        directory,
        name="chat",
        url="https://vllm:8000",
        protocol={"openai-chat": {"model": "llama", "prompt": "Reply with: pong"}},
        connection="reuse",
        timeout="30s",
        tls={"insecure_skip_verify": True},
        objectives=(
            objective(0.95, Signal.TIME_TO_FIRST_TOKEN, 0.25),
            objective(0.99, Signal.LATENCY, 2.5),
        ),
        rates=(1.5, 3),
        max_error_ratio=None,
        arrivals="uniform",
        max_in_flight=64,
    )


def golden_scripts() -> dict[str, str]:
    """Return the scripts by the names of their golden files."""
    scripts = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, plan in (
            ("json", json_plan(Path(directory))),
            ("chat", chat_plan(Path(directory))),
        ):
            scripts[f"{name}.k6.js.golden"] = render_k6(plan)
            scripts[f"{name}.locust.py.golden"] = render_locust(plan)
    return scripts


if __name__ == "__main__":
    for file_name, script in golden_scripts().items():
        (GOLDEN_FILES / file_name).write_text(script)
