"""Everything on this machine: toy model, daemon, Prometheus and Alertmanager, each a process of its
own on a loopback port that was free.
"""

import random
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from probe.demo import duration, files, http
from probe.demo.alerts import AlertmanagerState
from probe.demo.fault import Fault
from probe.demo.process import ChildError, ChildProcess

HOST = "127.0.0.1"
LOOKBACK_SECONDS = 300.0  # Prometheus' own default, seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """Paths of the two programs that are not ours."""

    prometheus: str
    alertmanager: str

    @classmethod
    def find(cls, path: str | None = None) -> Self | None:
        """On `path`, or on the PATH; None unless both are there. Debian renames Alertmanager."""
        prometheus = shutil.which("prometheus", path=path)
        alertmanager = shutil.which("prometheus-alertmanager", path=path) or shutil.which(
            "alertmanager", path=path
        )
        if not (prometheus and alertmanager):
            return None
        return cls(prometheus=prometheus, alertmanager=alertmanager)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProcess:
    url: str
    admin: str

    def become(self, fault: Fault | None) -> None:
        """Misbehaving, or healthy (None), by the time this returns."""
        if fault:
            http.put(self.admin, fault)
        else:
            http.delete(self.admin)


class Interrupted(Exception):
    """Somebody asked for an end."""


class Stack:
    """A context: what was started in it is ended with it, the last one first.

    `directory` gets the logs and generated files. `factor` is by how much time is shortened. When
    `stop` is set, `check` and whatever waits here raise Interrupted.
    """

    def __init__(self, directory: Path, *, factor: int, stop: threading.Event) -> None:
        self.directory = directory
        self.factor = factor
        self._stop = stop
        self.children: list[ChildProcess] = []

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
        """ChildError if any of them has died, Interrupted if it is time to go."""
        if self._stop.is_set():
            raise Interrupted
        for child in self.children:
            child.check()

    def model(self) -> ModelProcess:
        port, admin = free_port(), free_port()
        command = [sys.executable, "-m", "probe.demo.model", f"--port={port}"]
        url = f"http://{HOST}:{admin}/fault"
        self.start("model", [*command, f"--admin-port={admin}"], ready=url)
        return ModelProcess(url=f"http://{HOST}:{port}/predict", admin=url)

    def daemon(self, config: str, *, environment: Mapping[str, str] | None = None) -> str:
        """Its URL. `config` is the text of its config file."""
        address = f"{HOST}:{free_port()}"
        command = [
            *(sys.executable, "-m", "probe", "run"),
            f"--config.file={self._write('probe.yml', config)}",
            f"--web.listen-address={address}",
        ]
        self.start("daemon", command, ready=f"http://{address}/-/ready", environment=environment)
        return f"http://{address}"

    def alerting(self, binaries: Binaries, *, daemon: str) -> AlertmanagerState:
        """Alertmanager, and Prometheus with the bundled rules, which scrapes `daemon` (a URL)."""
        alertmanager = self._alertmanager(binaries.alertmanager)
        config = files.prometheus(
            self.factor,
            rules=str(self._write("rules.yml", files.rules(self.factor))),
            target=daemon.removeprefix("http://"),
            alertmanager=alertmanager.removeprefix("http://"),
        )
        prometheus = self._prometheus(binaries.prometheus, config)
        alerting = AlertmanagerState(prometheus=prometheus, alertmanager=alertmanager)
        self._wait_for_data(alerting)
        return alerting

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready: str,
        environment: Mapping[str, str] | None = None,
    ) -> ChildProcess:
        """Returns when GET `ready` is answered with 200."""
        log = self.directory / f"{name}.log"
        child = ChildProcess(name, command, log=log, environment=environment)
        self.children.append(child)
        if not self._wait(lambda: http.answers(ready)):
            raise child.error(f"does not answer {ready}")
        return child

    def _prometheus(self, binary: str, config: str) -> str:
        address = f"{HOST}:{free_port()}"
        command = [
            binary,
            f"--config.file={self._write('prometheus.yml', config)}",
            f"--storage.tsdb.path={self.directory / 'prometheus'}",
            f"--web.listen-address={address}",
            f"--query.lookback-delta={duration.write(LOOKBACK_SECONDS / self.factor)}",
        ]
        self.start("prometheus", command, ready=f"http://{address}/-/ready")
        return f"http://{address}"

    def _alertmanager(self, binary: str) -> str:
        address = f"{HOST}:{free_port()}"
        config = self._write("alertmanager.yml", files.alertmanager(self.factor))
        command = [
            binary,
            f"--config.file={config}",
            f"--storage.path={self.directory / 'alertmanager'}",
            f"--web.listen-address={address}",
            "--cluster.listen-address=",  # alone: gossip would listen to the world
        ]
        self.start("alertmanager", command, ready=f"http://{address}/-/ready")
        return f"http://{address}"

    def _wait_for_data(self, alerting: AlertmanagerState) -> None:
        """Prometheus takes seconds to find its target; until then it misses the daemon."""
        if not self._wait(lambda: alerting.query("up == 1") and not alerting.stages()):
            raise ChildError(f"Prometheus has nothing from the daemon, see {self.directory}")

    def _wait(self, done: Callable[[], object], *, seconds: float = 30) -> bool:
        deadline = time.monotonic() + seconds
        while not done():
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
    """One below the range from which outgoing connections take theirs: a port that a model closes
    for a while is not snatched away meanwhile.
    """
    for port in random.sample(range(20_000, 32_000), 100):
        try:
            socket.create_server((HOST, port)).close()
        except OSError:
            continue
        return port
    raise OSError("no free port between 20000 and 32000")
