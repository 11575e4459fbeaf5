"""Release artifacts: the wheel in an empty environment, and the lock files of the image."""

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from probe import __version__
from probe.demo.stack import free_port
from tests.commands import invoke
from tests.queries import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PYPROJECT["dependency-groups"]
DEVELOPMENT = [*GROUPS["test"], *GROUPS["lint"], *GROUPS["build"]]


def install(directory: Path) -> Path:
    """Install the wheel and its dependencies into a new environment, and return its bin directory.

    The wheel is built from the source distribution.
    """
    call(sys.executable, "-m", "build", "--outdir", str(directory), str(ROOT))
    (wheel,) = directory.glob("*.whl")
    environment = directory / "environment"
    call(sys.executable, "-m", "venv", str(environment))
    call(str(environment / "bin/pip"), "install", "--quiet", str(wheel))
    return environment / "bin"


def call(*command: str, cwd: Path | None = None) -> str:
    """Return the output of a command that must succeed, run without any other programs."""
    done = subprocess.run(
        command, cwd=cwd, env=bare(), capture_output=True, text=True, check=False, timeout=150
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bare() -> dict[str, str]:
    """Return an environment with the settings for the package index, and little else."""
    return {
        "PATH": "/nowhere",
        "HOME": os.environ["HOME"],
        **{key: value for key, value in os.environ.items() if re.match("PIP_|.*_PROXY|SSL_", key)},
    }


@pytest.mark.full
def test_wheel(tmp_path: Path) -> None:
    """The wheel, installed into an empty environment, has the rules, the config and the demo."""
    commands = install(tmp_path)
    command = str(commands / "inference-probe")
    assert call(command, "--version", cwd=tmp_path) == f"inference-probe {__version__}\n"
    (example,) = tmp_path.glob("environment/lib/*/site-packages/probe/_shipped/config/probe.yml")
    assert "is valid: 1 probe" in call(command, "check", str(example))
    assert call(command, "rules", cwd=tmp_path) == invoke("rules").stdout
    once(commands, tmp_path)
    demo(command, tmp_path)


def once(commands: Path, directory: Path) -> None:
    """Probe the toy model once."""
    port = free_port()
    model = subprocess.Popen(
        [str(commands / "python"), "-m", "probe.demo.model", f"--port={port}"],
        cwd=directory,
        env=bare(),
        stdout=subprocess.PIPE,
    )
    with model:
        assert model.stdout
        assert model.stdout.readline().startswith(b"model on")
        config = directory / "probe.yml"
        config.write_text(
            f'probes: [{{name: toy, url: "http://127.0.0.1:{port}/predict", json: {{data: a}}}}]\n'
        )
        arguments = ("once", f"--config.file={config}", "--output=json")
        (result,) = json.loads(call(str(commands / "inference-probe"), *arguments))
        assert (result["success"], result["status"]) == (True, 200)
        model.terminate()


def demo(command: str, directory: Path) -> None:
    """Run the demo without Prometheus, and stop it by SIGTERM."""
    process = subprocess.Popen(
        [command, "demo"], cwd=directory, env=bare(), stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout
        output = "".join(iter(process.stdout.readline, "\n"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert "Prometheus or Alertmanager is not on the PATH" in output
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("lock", "requirements"),
    [
        ("requirements.lock", PYPROJECT["project"]["dependencies"]),
        ("requirements-build.lock", PYPROJECT["build-system"]["requires"]),
        ("requirements-dev.lock", [*PYPROJECT["project"]["dependencies"], *DEVELOPMENT]),
    ],
)
def test_lock(lock: str, requirements: list[str]) -> None:
    """A lock file has all requirements of pyproject.toml, with matching versions and hashes.

    It has no URL of an index.
    """
    text = (ROOT / lock).read_text()
    pins = re.findall(r"(?m)^([\w.-]+)==([\w.]+).* \\\n    --hash=sha256:[0-9a-f]{64}", text)
    locked = {canonicalize_name(name): version for name, version in pins}
    assert len(pins) == len(re.findall(r"^\w", text, re.MULTILINE))
    for requirement in map(Requirement, requirements):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)])
    assert "://" not in text
