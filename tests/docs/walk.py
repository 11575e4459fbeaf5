"""Does what a page says, from its top to its end, in a directory of its own.

A block of YAML that begins with `# NAME.yml` is written to that file. Commands are run, line by
line; a daemon goes on until the end of the page. The toy model stands for the reader's.
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

STAND_INS = {
    "docker": "needs an engine; scripts/container-test builds and runs the image and the stack",
    "kubectl": "needs a cluster; tests/test_kubernetes.py holds the manifests against the schemas",
}
"""Programs in whose place one runs that reads its input and does nothing, and why."""

NOT_RUN = {
    "MODEL_URL=http://localhost:5000 inference-probe once": "tests/test_examples.py has its server",
    "python3 -m venv": "needs a package index; tests/test_wheel.py installs the wheel",
    "scripts/demo": "takes minutes; tests/e2e/test_demo.py runs each fault",
    "scripts/test": "runs this test",
}
"""How lines begin that are not run, and why."""

COMMAND_END = re.compile(r"\n(?! |done)")
FILE = re.compile(r"# ([\w.-]+\.yml)\n")
HASH = re.compile(r"\$2b\$\S+")
SECRET = "secret\n"
"""What whoever asks for a password is told."""


@dataclass(slots=True, kw_only=True)
class Walk:
    """Where we are on a page."""

    directory: Path
    model: str
    """Port of the toy model."""
    daemons: ExitStack
    daemon: Running | None = None
    said: str = ""
    """Output of the last command."""
    command: str = ""

    def step(self, block: Block) -> None:
        """Do what the block says, or see that what it shows is so."""
        match block.language:
            case "yaml":
                if name := FILE.match(block.text):
                    (self.directory / name[1]).write_text(self.here(block.text))
            case "sh":
                for line in COMMAND_END.split(block.text.replace("\\\n", "").strip()):
                    self._run(line, block)
            case "text":
                self._compare(block)

    def here(self, text: str) -> str:
        """With the ports and the password of this walk in place of those that are written."""
        hashed = bcrypt.hashpw(SECRET.strip().encode(), bcrypt.gensalt(4)).decode()
        text = HASH.sub(lambda _: hashed, text)
        text = re.sub(r"(localhost|127\.0\.0\.1):5000", rf"\1:{self.model}", text)
        port = self.daemon.url.rpartition(":")[2] if self.daemon else "10115"
        return text.replace("localhost:10115", f"localhost:{port}")

    def _run(self, line: str, block: Block) -> None:
        for path in re.findall(r"(?<![\w/])(?:deploy|config|scripts)/[\w./-]+", line):
            assert (ROOT / path).exists(), f"{block}: there is no {path}"
        if line.startswith(tuple(NOT_RUN)):
            return
        if line.startswith("inference-probe run "):
            arguments = shlex.split(self.here(line).rstrip("& "), comments=True)[2:]
            daemon = running(*arguments, cwd=self.directory, environ=self._environment())
            self.daemon = self.daemons.enter_context(daemon)
        else:
            self.command = line
            self.said = self._shell(self.here(line), block)

    def _shell(self, line: str, block: Block) -> str:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=self.directory,
            env=self._environment(),
            input=SECRET,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            start_new_session=True,  # without a terminal to ask for a password
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
        }

    def _compare(self, block: Block) -> None:
        """Word for word; of what was measured only what it is, not how much."""
        shown, said = self.here(block.text), self.said
        if " once " in self.command:
            shown, said = _shape(shown), _shape(said)
        assert shown in said, f"{block}: {self.command} says\n{self.said}"


def _shape(text: str) -> str:
    lines = re.sub(r"[\d.]+ ms", "# ms", text).replace("█", "").splitlines()
    return "\n".join(re.sub(" +", " ", line).strip() for line in lines)


@contextmanager
def walk(directory: Path, beside: Path) -> Iterator[Walk]:
    """A walk that begins in the directory, with a toy model that answers, a config for it, and the
    configs that are beside the page.
    """
    for config in beside.glob("*.yml"):
        shutil.copy(config, directory)
    (directory / "deploy").symlink_to(ROOT / "deploy")
    _programs(directory / "bin")
    with _toy_model() as port, ExitStack() as daemons:
        begun = Walk(directory=directory, model=port, daemons=daemons)
        example = resource_path("config/probe.yml").read_text()
        (directory / ".curlrc").write_text("fail\nsilent\n")
        (directory / "probe.yml").write_text(begun.here(example))
        yield begun


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
    """Its port."""
    command = [sys.executable, "-m", "probe.demo.model", "--port=0"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            found = re.search(r":(\d+)/", process.stdout.readline())
            assert found
            yield found[1]
        finally:
            process.terminate()
