"""Run blackbox_exporter on a workload. It probes when it is scraped, so this module scrapes it."""

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml

from bench.daemon import probe_name
from bench.processes import ProcessMemory, cpu_seconds, run_process, total_memory
from bench.reference_server import Endpoint, ReferenceServer, RequestLog
from bench.scheduled_client import Response, ScheduledClient, ScheduledRequest, body_text
from bench.workload import WARM_UP_SECONDS, ReportedTimes, Run, Workload, compare
from probe.clock import nanoseconds
from probe.scheduler.grid import Grid

PROGRAMS = ("blackbox_exporter", "prometheus-blackbox-exporter")
START_TIMEOUT_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BlackboxRun:
    """One run, and the memory of the process at its end."""

    run: Run
    memory: ProcessMemory


class Blackbox:
    """A blackbox_exporter, started for each run."""

    def __init__(self, program: Path, server: ReferenceServer, directory: Path) -> None:
        self._program = program
        self._server = server
        self._config = directory / "blackbox.yml"
        self._log = directory / "blackbox.log"
        http = {
            "method": "GET",
            "preferred_ip_protocol": "ip4",
            "tls_config": {"ca_file": str(server.ca_file)},
        }
        module = {"prober": "http", "timeout": "2s", "http": http}
        self._config.write_text(yaml.safe_dump({"modules": {"http": module}}))

    def measure(self, workload: Workload, seconds: float) -> Run:
        """Scrape it for `seconds` after the warm-up, at the due times of the daemon's probes."""
        return self.measure_schedule(workload.rate, 1.0, seconds, tls=workload.tls).run

    def measure_schedule(
        self, probes: int, interval_seconds: float, seconds: float, *, tls: bool
    ) -> BlackboxRun:
        """Scrape it for `seconds` after the warm-up, as often as `probes` probes are due."""
        command = (self._program, f"--config.file={self._config}")
        with (
            self._server.run(tls=tls) as endpoint,
            self._log.open("w") as log,
            run_process(*command, "--web.listen-address=127.0.0.1:0", stderr=log) as process,
            closing(ScheduledClient(self._port())) as client,
        ):
            due_times = sorted(_due_times(probes, interval_seconds, WARM_UP_SECONDS + seconds))
            scrapes = _scrapes(due_times, endpoint)
            warm_up = int(probes / interval_seconds * WARM_UP_SECONDS)
            client.send(scrapes[:warm_up])
            cpu_before = cpu_seconds(process.pid)
            responses = client.send(scrapes[warm_up:])
            cpu = (cpu_seconds(process.pid) - cpu_before) / len(responses)
            memory = total_memory([process.pid])
        reports = [_reported_times(response) for response in responses]
        errors, failed = compare(reports, RequestLog.parse(endpoint.log.read_text()), since=0)
        return BlackboxRun(run=Run(errors=errors, failed=failed, cpu=cpu), memory=memory)

    def _port(self) -> int:
        """Wait for the log line with the port, and return the port."""
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            listening = re.search(
                r"Listening on.*address=127\.0\.0\.1:(\d+)", self._log.read_text()
            )
            if listening:
                return int(listening[1])
            time.sleep(0.02)
        raise RuntimeError(f"blackbox_exporter does not listen:\n{self._log.read_text()}")


def _scrapes(due_times: Iterable[int], endpoint: Endpoint) -> list[ScheduledRequest]:
    """Return a scrape for each due time."""
    return [
        ScheduledRequest(
            due, number, f"/probe?module=http&target={quote(f'{endpoint.url}{number}', safe='')}"
        )
        for number, due in enumerate(due_times, start=1)
    ]


def _due_times(probes: int, interval_seconds: float, seconds: float) -> Iterator[int]:
    """Yield the ticks that the daemon's schedule would have."""
    anchor = time.monotonic_ns()
    for number in range(1, probes + 1):
        grid = Grid.for_probe(probe_name(number), interval_seconds, anchor=anchor)
        yield from range(grid.first, anchor + nanoseconds(seconds), grid.interval)


def _reported_times(response: Response) -> ReportedTimes:
    metrics = body_text(response.raw) if response.raw else ""
    return ReportedTimes(
        number=response.number,
        started=response.sent,
        wait=_value(metrics, r'probe_http_duration_seconds\{phase="processing"\}'),
        total=_value(metrics, "probe_duration_seconds") or 0.0,
        failed=_value(metrics, "probe_success") != 1,
    )


def _value(metrics: str, series: str) -> float | None:
    match = re.search(rf"^{series} (\S+)$", metrics, re.MULTILINE)
    return float(match[1]) if match else None
