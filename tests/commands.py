"""The command as users run it: a process of its own."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

COMMAND = (sys.executable, "-m", "probe")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without whatever it says to inference-probe."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith("INFERENCE_PROBE_")}
    root = str(Path(__file__).parent.parent)
    return {**ours, "PYTHONPATH": root, **(extra or {})}


def invoke(
    *arguments: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Running:
    """A daemon, and what can be asked of it."""

    def __init__(self, process: "subprocess.Popen[str]", port: int, log: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self._log = log

    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=10)

    def total(self, metric: str) -> float:
        """The sum over all series of a metric."""
        lines = re.findall(rf"^{metric}(?:{{.*}})? (.+)$", self.get("/metrics").text, re.MULTILINE)
        return sum(map(float, lines))

    def wait_for(self, metric: str, least: float, seconds: float = 20) -> None:
        """Wait until the total of a metric has come to something."""
        end = time.monotonic() + seconds
        while self.total(metric) < least:
            assert time.monotonic() < end, f"{metric} is {self.total(metric)}, not {least}"
            time.sleep(0.05)

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@contextmanager
def running(
    *arguments: str,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    command: Sequence[str] = COMMAND,
) -> Iterator[Running]:
    """A daemon on a free port, listening, until the end of the block."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "log")  # and no pipe: where nobody reads that, lines are left out
        with log.open("w") as stderr:
            process = subprocess.Popen(
                [*command, "run", "--web.listen-address=127.0.0.1:0", *arguments],
                cwd=cwd,
                env=environment(environ),
                stderr=stderr,
                text=True,
            )
        try:
            yield Running(process, port_of(process, log), log)
        finally:
            process.kill()
            process.wait()


def port_of(process: "subprocess.Popen[str]", log: Path) -> int:
    """Where a daemon listens, as soon as its log says so."""
    while not (listening := re.search(r"address=127\.0\.0\.1:(\d+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        time.sleep(0.01)
    return int(listening[1])
