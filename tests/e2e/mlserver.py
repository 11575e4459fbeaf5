"""MLServer with a scikit-learn model: a model server that none of us wrote.

It lives in a virtual environment of its own, because it pins other versions of what we use.
"""

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from probe.demo.child import Child
from probe.demo.stack import HOST, Stack, free_port

REQUIREMENTS = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1")
PYTHONS = ("python3.12", "python3.11")
"""Those that MLServer supports; it is not there yet for 3.13."""

TRAIN = """
import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

features, classes = load_iris(return_X_y=True)
joblib.dump(LogisticRegression(max_iter=500).fit(features, classes), "model.joblib")
"""


def install(cache: Path) -> Path:
    """The directory of its programs. Installed once: other test processes wait meanwhile."""
    environment = cache / "-".join(REQUIREMENTS).replace("==", "-")
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (environment / "complete").exists():
            shutil.rmtree(environment, ignore_errors=True)
            run(_python(), "-m", "venv", str(environment))
            pip = (str(environment / "bin/python"), "-m", "pip", "--disable-pip-version-check")
            run(*pip, "install", "--quiet", *REQUIREMENTS)
            (environment / "complete").touch()
    return environment / "bin"


def serve(stack: Stack, programs: Path) -> tuple[Child, str]:
    """Trains a model, serves it as `iris`, and gives the server's process and URL."""
    directory = stack.directory / "iris"
    directory.mkdir()
    run(str(programs / "python"), "-c", TRAIN, cwd=directory)
    port = free_port()
    settings = {
        "host": HOST,
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": 0,  # one process, which can be stopped as a whole
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
    return stack.start("mlserver", command, ready=f"{url}/v2/models/iris/ready"), url


def run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def _python() -> str:
    if sys.version_info < (3, 13):
        return sys.executable
    for name in PYTHONS:
        if found := shutil.which(name):
            return found
    pytest.skip(f"MLServer needs one of {', '.join(PYTHONS)}, this is {sys.version.split()[0]}")
