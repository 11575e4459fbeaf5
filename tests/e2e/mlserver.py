"""MLServer with a scikit-learn model, in a separate virtual environment."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from probe.demo.stack import HOST, ChildProcess, Stack, free_port
from tests.e2e import environments

REQUIREMENTS = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1")
# MLServer does not support Python 3.13 yet.
PYTHONS = ("python3.12", "python3.11")

TRAIN = """
import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

features, classes = load_iris(return_X_y=True)
joblib.dump(LogisticRegression(max_iter=500).fit(features, classes), "model.joblib")
"""


def install(cache: Path) -> Path:
    """Install MLServer and return the directory of its programs."""
    return environments.install(cache, _python(), REQUIREMENTS)


def serve(stack: Stack, programs: Path) -> tuple[ChildProcess, str]:
    """Train a model, serve it as `iris`, and return the server's process and URL."""
    directory = stack.directory / "iris"
    directory.mkdir()
    environments.run(str(programs / "python"), "-c", TRAIN, cwd=directory)
    port = free_port()
    settings = {
        "host": HOST,
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,  # one process, which a test can suspend
    }
    model = {
        "name": "iris",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib"},
    }
    (directory / "settings.json").write_text(json.dumps(settings))
    (directory / "model-settings.json").write_text(json.dumps(model))
    url = f"http://{HOST}:{port}"
    command = [str(programs / "mlserver"), "start", str(directory)]
    return stack.start("mlserver", command, ready_url=f"{url}/v2/models/iris/ready"), url


def _python() -> str:
    if sys.version_info < (3, 13):
        return sys.executable
    for name in PYTHONS:
        if found := shutil.which(name):
            return found
    pytest.skip(f"MLServer needs one of {', '.join(PYTHONS)}, this is {sys.version.split()[0]}")
