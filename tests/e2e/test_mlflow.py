"""The scoring server of MLflow, probed with config/examples/mlflow.yml."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from probe.demo.stack import HOST, Stack, free_port
from probe.resources import resource_path
from tests.commands import invoke
from tests.e2e.environments import install, run

pytestmark = pytest.mark.timing

EXAMPLE = resource_path("config/examples/mlflow.yml")
REQUIREMENTS = ("mlflow-skinny==3.17.2", "pandas==3.1.1")

MODEL = """
import mlflow

class Irises(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [self.classify(length) for length in model_input["petal_length"]]

    def classify(self, length):
        if length > 100:
            raise ValueError("no flower")
        return float("nan") if length < 0 else 0 if length < 2.5 else 1

mlflow.models.set_model(Irises())
"""
SAVE = """
import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

names = ("sepal_length", "sepal_width", "petal_length", "petal_width")
signature = ModelSignature(inputs=Schema([ColSpec("double", name) for name in names]))
mlflow.pyfunc.save_model("iris", python_model="model.py", signature=signature, pip_requirements=[])
"""


@pytest.fixture(scope="session")
def programs(pytestconfig: pytest.Config) -> Path:
    cache = pytestconfig.cache
    assert cache
    return install(cache.mkdir("mlflow"), sys.executable, REQUIREMENTS)


@pytest.fixture
def server(stack: Stack, programs: Path) -> str:
    """Start `mlflow models serve` with a small model of irises, and return its URL."""
    additions = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_DISABLE_TELEMETRY": "1",
    }
    environment = {**os.environ, **additions}
    (stack.directory / "model.py").write_text(MODEL)
    run(str(programs / "python"), "-c", SAVE, cwd=stack.directory, environment=environment)
    url = f"http://{HOST}:{(port := free_port())}"
    command = [str(programs / "mlflow"), "models", "serve", "--env-manager=local"]
    where = [f"--model-uri={stack.directory / 'iris'}", f"--host={HOST}", f"--port={port}"]
    stack.start("mlflow", [*command, *where], ready_url=f"{url}/ping", environment=environment)
    return url


def once(config: Path, url: str) -> Any:
    done = invoke("once", f"--config.file={config}", "--output=json", environ={"MLFLOW_URL": url})
    (result,) = json.loads(done.stdout)
    return result


@pytest.mark.full
@pytest.mark.timeout(300)  # the first run installs 300 MB
def test_example(server: str, tmp_path: Path) -> None:
    """The example succeeds; a wrong column, an exception in the model and NaN do not."""
    result = once(EXAMPLE, server)
    assert (result["success"], result["status"]) == (True, 200), result

    def failure(old: str, new: str) -> tuple[int, str]:
        config = tmp_path / "mlflow.yml"
        config.write_text(EXAMPLE.read_text().replace(old, new))
        result = once(config, server)
        return result["status"], result["reason"]

    assert failure("petal_length", "petal_size") == (400, "http_4xx")
    assert failure("1.4", "140") == (400, "http_4xx")
    assert failure("1.4", "-1.4") == (200, "assertion")
    assert failure("1.4", "5.5") == (200, "assertion")
    assert failure("{env:MLFLOW_URL} #", "{env:MLFLOW_URL}/predict #") == (404, "http_4xx")
