"""Runs the commands of a page in order, in a temporary directory.

A YAML block that begins with `# NAME.yml` is written to that file. Commands run line by line, and a
daemon runs until the end of the page. The toy model replaces the reader's model.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from probe.resources import resource_path
from tests.commands import Running, environment, running
from tests.docs.markdown import Block

ROOT = Path(__file__).parents[2]

# Programs that are replaced by one that only reads its input, and the reasons.
STAND_INS = {
    "docker": "needs an engine; scripts/container-test builds and runs the image and the stack",
    "kubectl": "needs a cluster; tests/test_kubernetes.py validates the manifests",
}

# Prefixes of command lines that are not run, and the reasons.
NOT_RUN = {
    "python3 -m venv": "needs a package index; tests/test_wheel.py installs the wheel",
    "k6": "is not installed; tests/load/test_k6_script.py runs its scripts in Chromium",
    "locust": "needs a package index; tests/e2e/test_locust.py runs it",
    "OTEL_SERVICE_NAME=vllm": "needs a model; tests/e2e/test_tracing.py has another server",
    "for index in": "takes minutes; tests/e2e/test_shared_load.py runs the shares of a load test",
    "inference-probe load chat --from-prometheus": "needs the shares of the command before it",
    "inference-probe report": "needs a month in Prometheus; tests/report runs it",
    "scripts/demo": "takes minutes; tests/e2e/test_demo.py runs each fault",
    "scripts/test": "runs this test",
    "inference-probe compare": "takes minutes; tests/cli/test_compare.py runs it",
    "inference-probe load": "takes minutes; tests/cli/test_load.py and bench.load run it",
}

COMMAND_END = re.compile(r"\n(?! |done)")
FILE = re.compile(r"# ([\w.-]+\.yml)\n")
HASH = re.compile(r"\$2b\$\S+")
# Input of all commands, which some read as a password.
PASSWORD_INPUT = "secret\n"


@dataclass(slots=True, kw_only=True)
class PageSession:
    """State of running one page."""

    directory: Path
    model: str
    """Port of the toy model."""
    daemons: ExitStack
    daemon: Running | None = None
    command: str = ""
    output: str | None = ""
    """Output of the last command. None if it was not run."""

    def step(self, block: Block) -> None:
        """Write the file, run the commands or compare the output of a block."""
        match block.language:
            case "yaml":
                if name := FILE.match(block.text):
                    (self.directory / name[1]).write_text(self.substitute(block.text))
            case "sh":
                for line in COMMAND_END.split(block.text.replace("\\\n", "").strip()):
                    self._run(line, block)
            case "text":
                self._compare(block)

    def substitute(self, text: str) -> str:
        """Replace the ports and the password hash of the page by those of this session."""
        hashed = bcrypt.hashpw(PASSWORD_INPUT.strip().encode(), bcrypt.gensalt(4)).decode()
        text = HASH.sub(lambda _: hashed, text)
        text = re.sub(r"(localhost|127\.0\.0\.1):5000", rf"\1:{self.model}", text)
        port = self.daemon.url.rpartition(":")[2] if self.daemon else "10115"
        return text.replace("localhost:10115", f"localhost:{port}")

    def _run(self, line: str, block: Block) -> None:
        for path in re.findall(r"(?<![\w/])(?:deploy|config|scripts)/[\w./-]+", line):
            assert (ROOT / path).exists(), f"{block}: {path} does not exist"
        if line.startswith(tuple(NOT_RUN)):
            self.command, self.output = line, None
            return
        if re.match(r"inference-probe run\b", line):
            arguments = shlex.split(self.substitute(line).rstrip("& "), comments=True)[2:]
            daemon = running(*arguments, cwd=self.directory, environ=self._environment())
            self.daemon = self.daemons.enter_context(daemon)
        else:
            self.command = line
            self.output = self._shell(self.substitute(line), block)

    def _shell(self, line: str, block: Block) -> str:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=self.directory,
            env=self._environment(),
            input=PASSWORD_INPUT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            start_new_session=True,  # no terminal, so that passwords are read from the input
        )
        assert done.returncode == 0, f"{block}: {line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _environment(self) -> dict[str, str]:
        inherited = environment()
        programs = (self.directory / "bin", Path(sys.executable).parent, inherited["PATH"])
        return {
            **inherited,
            "PATH": os.pathsep.join(map(str, programs)),
            "CURL_HOME": str(self.directory),
            **({"INFERENCE_PROBE_DAEMON_URL": self.daemon.url} if self.daemon else {}),
        }

    def _compare(self, block: Block) -> None:
        """Compare the text of the page with the output, except measured values."""
        if self.output is None:
            return
        expected, output = self.substitute(block.text), self.output
        if re.search(r"inference-probe once\b", self.command):
            expected, output = _without_values(expected), _without_values(output)
        assert expected in output, f"{block}: output of {self.command}:\n{self.output}"


def _without_values(text: str) -> str:
    text = re.sub(r"[\d.]+ ms", "# ms", text).replace("█", "")
    lines = re.sub(r"\b[0-9a-f]{32}\b", "<trace id>", text).splitlines()
    return "\n".join(re.sub(" +", " ", line).strip() for line in lines)


@contextmanager
def page_session(directory: Path, page_directory: Path) -> Iterator[PageSession]:
    """Yield a session with a toy model, a config for it, and the configs next to the page."""
    for config in page_directory.glob("*.yml"):
        shutil.copy(config, directory)
    (directory / "deploy").symlink_to(ROOT / "deploy")
    _programs(directory / "bin")
    with _toy_model() as port, ExitStack() as daemons:
        session = PageSession(directory=directory, model=port, daemons=daemons)
        example = resource_path("config/probe.yml").read_text()
        (directory / ".curlrc").write_text("fail\nsilent\n")
        (directory / "probe.yml").write_text(session.substitute(example))
        yield session


def _programs(directory: Path) -> None:
    directory.mkdir()
    commands: Mapping[str, str] = {
        "inference-probe": f'exec {shlex.quote(sys.executable)} -m probe "$@"',
        **dict.fromkeys(STAND_INS, "exec cat > /dev/null"),
    }
    for name, command in commands.items():
        (directory / name).write_text(f"#!/bin/sh\n{command}\n")
        (directory / name).chmod(0o755)


@contextmanager
def _toy_model() -> Iterator[str]:
    """Run the toy model and yield its port."""
    command = [sys.executable, "-m", "probe.demo.model", "--port=0"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            match = re.search(r":(\d+)/", process.stdout.readline())
            assert match
            yield match[1]
        finally:
            process.terminate()
