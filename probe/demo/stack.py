"""The processes of a demo: toy model, daemon, Prometheus and Alertmanager.

Each listens on a free loopback port.
"""

import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from probe.demo import files, http
from probe.demo.alerts import AlertApi
from probe.demo.batch_flags import format_batch_flags
from probe.demo.batch_queue import BatchSettings
from probe.demo.fault import Fault, ModelType
from probe.demo.files import prometheus_duration

MAX_LOG_LINES_SHOWN = 10


class ProcessFailedError(Exception):
    """A child process did not start or has exited. The message ends with its log."""


class ChildProcess:
    """A process that writes its output to `log`.

    It runs in its own session. Ctrl-C therefore reaches only the parent, which stops its children
    in order.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise ProcessFailedError if the process has exited."""
        if (code := self.process.poll()) is not None:
            raise self.failed(f"exited with code {code}")

    def stop(self, *, timeout_seconds: float = 10) -> None:
        """Send SIGTERM, and SIGKILL after `timeout_seconds`."""
        self.process.terminate()
        try:
            self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def failed(self, problem: str) -> ProcessFailedError:
        """Return an error with `problem` and the end of the log."""
        lines = self.log.read_text(errors="replace").splitlines()[-MAX_LOG_LINES_SHOWN:]
        output = "".join(f"\n    {line}" for line in lines) or " (empty)"
        return ProcessFailedError(f"{self.name} {problem}. The end of its log {self.log}:{output}")


HOST = "127.0.0.1"

# The default of Prometheus' --query.lookback-delta.
LOOKBACK_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """Paths of the programs of other projects."""

    prometheus: str
    alertmanager: str

    @classmethod
    def find(cls, path: str | None = None) -> Self | None:
        """Search `path`, or the PATH. Return None unless both programs exist."""
        prometheus = shutil.which("prometheus", path=path)
        # Debian renames Alertmanager.
        alertmanager = shutil.which("prometheus-alertmanager", path=path) or shutil.which(
            "alertmanager", path=path
        )
        if not (prometheus and alertmanager):
            return None
        return cls(prometheus=prometheus, alertmanager=alertmanager)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProcess:
    """A running toy model: its type, its URL and that of its faults.

    `batches` is None for a model that processes none.
    """

    type: ModelType
    url: str
    admin: str
    batches: BatchSettings | None = None

    def set_fault(self, fault: Fault | None) -> None:
        """Set the fault, or clear it (None). It is in effect on return."""
        if fault:
            http.put(self.admin, fault)
        else:
            http.delete(self.admin)


class Interrupted(Exception):
    """Raised after Ctrl-C or SIGTERM."""


class Stack:
    """A context manager that stops its processes on exit, the last one first.

    `directory` receives logs and generated files. `factor` divides all durations. After `stop` is
    set, `check` and the methods that wait raise Interrupted.
    """

    def __init__(self, directory: Path, *, factor: int, stop: threading.Event) -> None:
        self.directory = directory
        self.factor = factor
        self.children: list[ChildProcess] = []
        self._stop = stop

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self.children:
            self.children.pop().stop()

    def check(self) -> None:
        """Raise ProcessFailedError if a process has exited, Interrupted if `stop` is set."""
        if self._stop.is_set():
            raise Interrupted
        for child in self.children:
            child.check()

    def start_model(
        self, model: ModelType = ModelType.SENTIMENT, *, batches: BatchSettings | None = None
    ) -> ModelProcess:
        """Start a toy model; `batches` is for the one that processes batches."""
        port, admin_port = free_port(), free_port()
        command = [
            *(sys.executable, "-m", "probe.demo.model", f"--model={model}"),
            f"--port={port}",
            f"--admin-port={admin_port}",
            *(format_batch_flags(batches) if batches else ()),
        ]
        admin = f"http://{HOST}:{admin_port}/fault"
        self.start("model", command, ready_url=admin)
        url = f"http://{HOST}:{port}{model.path}"
        return ModelProcess(type=model, url=url, admin=admin, batches=batches)

    def start_daemon(self, config: str, *, environment: Mapping[str, str] | None = None) -> str:
        """Start the daemon with the text of a config file, and return its URL."""
        address = f"{HOST}:{free_port()}"
        command = [
            *(sys.executable, "-m", "probe", "run"),
            f"--config.file={self._write('probe.yml', config)}",
            f"--web.listen-address={address}",
        ]
        ready_url = f"http://{address}/-/ready"
        self.start("daemon", command, ready_url=ready_url, environment=environment)
        return f"http://{address}"

    def start_alerting(self, binaries: Binaries, *, daemon: str) -> AlertApi:
        """Start Alertmanager, and Prometheus with the bundled rules and `daemon` as its target."""
        alertmanager = self._start_alertmanager(binaries.alertmanager)
        config = files.prometheus(
            self.factor,
            rules=str(self._write("rules.yml", files.rules(self.factor))),
            target=daemon.removeprefix("http://"),
            alertmanager=alertmanager.removeprefix("http://"),
        )
        prometheus = self._start_prometheus(binaries.prometheus, config)
        alerts = AlertApi(prometheus=prometheus, alertmanager=alertmanager)
        self._wait_for_first_scrape(alerts)
        return alerts

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready_url: str,
        environment: Mapping[str, str] | None = None,
        timeout_seconds: float = 30,
    ) -> ChildProcess:
        """Start a process and wait until a GET of `ready_url` succeeds."""
        log = self.directory / f"{name}.log"
        child = ChildProcess(name, command, log=log, environment=environment)
        self.children.append(child)
        if not self._wait_until(lambda: http.is_ok(ready_url), timeout_seconds=timeout_seconds):
            raise child.failed(f"does not respond to {ready_url}")
        return child

    def _start_prometheus(self, binary: str, config: str) -> str:
        address = f"{HOST}:{free_port()}"
        command = [
            binary,
            f"--config.file={self._write('prometheus.yml', config)}",
            f"--storage.tsdb.path={self.directory / 'prometheus'}",
            f"--web.listen-address={address}",
            f"--query.lookback-delta={prometheus_duration(LOOKBACK_SECONDS / self.factor)}",
        ]
        self.start("prometheus", command, ready_url=f"http://{address}/-/ready")
        return f"http://{address}"

    def _start_alertmanager(self, binary: str) -> str:
        address = f"{HOST}:{free_port()}"
        config = self._write("alertmanager.yml", files.alertmanager(self.factor))
        command = [
            binary,
            f"--config.file={config}",
            f"--storage.path={self.directory / 'alertmanager'}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",  # no cluster, which would listen on all interfaces
        ]
        self.start("alertmanager", command, ready_url=f"http://{address}/-/ready")
        return f"http://{address}"

    def _wait_for_first_scrape(self, alerts: AlertApi) -> None:
        """Wait until Prometheus has scraped the daemon and no alert is pending."""
        if not self._wait_until(lambda: alerts.query("up == 1") and not alerts.stages()):
            raise ProcessFailedError(f"Prometheus did not scrape the daemon, see {self.directory}")

    def _wait_until(self, condition: Callable[[], object], *, timeout_seconds: float = 30) -> bool:
        deadline = time.monotonic() + timeout_seconds
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path


def free_port() -> int:
    """Return a free port below the range of ephemeral ports.

    A model with the fault `down` closes its port for a while. No outgoing connection of another
    process must take the port in that time.
    """
    for port in random.sample(range(20_000, 32_000), 100):
        try:
            socket.create_server((HOST, port)).close()
        except OSError:
            continue
        return port
    raise OSError("no free port between 20000 and 32000")
