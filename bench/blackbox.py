"""Runs blackbox_exporter on a workload: it probes when it is scraped, so it is scraped."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import yaml

from bench import our_daemon
from bench.driver import Answer, Driver, Question, text
from bench.processes import cpu_seconds, started
from bench.reference_server import Endpoint, Log, Truth
from bench.workload import WARM_UP, Claim, Run, Workload, compare
from probe.clock import nanoseconds
from probe.scheduler.grid import Grid

PROGRAMS = ("blackbox_exporter", "prometheus-blackbox-exporter")
START_SECONDS = 5


def find(environ: Mapping[str, str]) -> list[Path]:
    """Every blackbox_exporter in the directories of PROMETHEUS_BIN_DIRS and on the PATH."""
    places = f"{environ.get('PROMETHEUS_BIN_DIRS', '')}{os.pathsep}{environ.get('PATH', '')}"
    found = [
        shutil.which(program, path=place)
        for place in places.split(os.pathsep)
        if place
        for program in PROGRAMS
    ]
    return [Path(path) for path in dict.fromkeys(found) if path]


def version(program: Path) -> tuple[int, ...]:
    """(0, 28, 0)."""
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    number = re.search(r"version (\d+(?:\.\d+)+)", told.stdout + told.stderr)
    return tuple(map(int, number[1].split("."))) if number else ()


class Blackbox:
    """A blackbox_exporter that is started anew for each run."""

    def __init__(self, program: Path, truth: Truth, directory: Path) -> None:
        self._program = program
        self._truth = truth
        self._config = directory / "blackbox.yml"
        self._log = directory / "blackbox.log"
        http = {
            "method": "GET",
            "preferred_ip_protocol": "ip4",
            "tls_config": {"ca_file": str(truth.authority)},
        }
        module = {"prober": "http", "timeout": "2s", "http": http}
        self._config.write_text(yaml.safe_dump({"modules": {"http": module}}))

    def run(self, workload: Workload, seconds: float) -> Run:
        """Scrape it so long, after its warm-up, on the grid on which the daemon probes."""
        command = (self._program, f"--config.file={self._config}")
        with (
            self._truth.serving(tls=workload.tls) as endpoint,
            self._log.open("w") as log,
            started(*command, "--web.listen-address=127.0.0.1:0", stderr=log) as process,
            closing(Driver(self._port())) as driver,
        ):
            questions = _questions(workload.rate, WARM_UP + seconds, endpoint)
            warming = int(workload.rate * WARM_UP)
            driver.drive(questions[:warming])
            before = cpu_seconds(process.pid)
            answers = driver.drive(questions[warming:])
            cpu = (cpu_seconds(process.pid) - before) / len(answers)
        claims = [_claim(answer) for answer in answers]
        errors, failed = compare(claims, Log.read(endpoint.log.read_text()), since=0)
        return Run(errors=errors, failed=failed, cpu=cpu)

    def _port(self) -> int:
        """Where it says that it listens."""
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            listening = re.search(
                r"Listening on.*address=127\.0\.0\.1:(\d+)", self._log.read_text()
            )
            if listening:
                return int(listening[1])
            time.sleep(0.02)
        raise RuntimeError(f"blackbox_exporter does not listen:\n{self._log.read_text()}")


def _questions(rate: int, seconds: float, endpoint: Endpoint) -> list[Question]:
    """A question for each tick that the daemon's schedule would have, in their order."""
    dues = sorted(_dues(rate, seconds))
    return [
        Question(
            due, number, f"/probe?module=http&target={quote(f'{endpoint.url}{number}', safe='')}"
        )
        for number, due in enumerate(dues, start=1)
    ]


def _dues(rate: int, seconds: float) -> Iterator[int]:
    anchor = time.monotonic_ns()
    for number in range(1, rate + 1):
        grid = Grid.for_probe(our_daemon.name(number), 1.0, anchor=anchor)
        yield from range(grid.first, anchor + nanoseconds(seconds), grid.interval)


def _claim(answer: Answer) -> Claim:
    said = text(answer.raw) if answer.raw else ""
    wait = _value(said, r'probe_http_duration_seconds\{phase="processing"\}')
    return Claim(
        number=answer.number,
        started=answer.asked,
        wait=wait,
        total=_value(said, "probe_duration_seconds") or 0.0,
        failed=_value(said, "probe_success") != 1,
    )


def _value(said: str, metric: str) -> float | None:
    found = re.search(rf"^{metric} (\S+)$", said, re.MULTILINE)
    return float(found[1]) if found else None
