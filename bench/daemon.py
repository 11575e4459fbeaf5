"""Run the daemon on a workload, and read the results that it recorded."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.processes import cpu_seconds, run_process, terminate
from bench.reference_server import Endpoint, ReferenceServer, RequestLog
from bench.revision import ROOT
from bench.workload import WARM_UP_SECONDS, ReportedTimes, Run, Workload, compare


def probe_name(number: int) -> str:
    """Return the name of the probe whose requests have `number` in their path."""
    return f"model-{number}"


def write_config(
    path: Path,
    endpoint: Endpoint,
    server: ReferenceServer,
    *,
    probes: int,
    interval: str = "1s",
    timeout: str = "2s",
    connection: str = "new",
) -> None:
    """Write a config with `probes` probes of the endpoint, numbered from 1."""
    config = {
        "defaults": {
            "interval": interval,
            "timeout": timeout,
            "connection": connection,
            "tls": {"ca_file": str(server.ca_file)},
        },
        "probes": [
            {"name": probe_name(n), "url": f"{endpoint.url}{n}"} for n in range(1, probes + 1)
        ],
    }
    # Without libyaml, 10,000 probes take seconds.
    dumper = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper
    path.write_text(yaml.dump(config, Dumper=dumper))


@dataclass(slots=True)
class RecordingDaemon:
    """A running daemon that records its results; they can be read after `stop`."""

    process: "subprocess.Popen[str]"
    port: int
    results: Path

    def reported_times(self) -> list[ReportedTimes]:
        return [_reported_times(line) for line in self.results.read_text().splitlines()]

    def stop(self) -> None:
        terminate(self.process)


@contextmanager
def run_daemon(config: Path, *, spin: bool = False, code: Path = ROOT) -> Iterator[RecordingDaemon]:
    """Run the daemon in the directory `code`; with `spin`, one of its threads holds the GIL."""
    results = config.with_name("results.jsonl")
    results.unlink(missing_ok=True)
    module = (sys.executable, "-m", "bench.recording_daemon")
    options = ("--config", config, "--results", results, *(("--spin",) if spin else ()))
    # The working directory comes first in the path of imports, PYTHONPATH in that of its children.
    env = {**os.environ, "PYTHONPATH": str(code)}
    with run_process(*module, *options, cwd=code, env=env) as process:
        assert process.stdout
        yield RecordingDaemon(process, int(process.stdout.readline()), results)


def _reported_times(line: str) -> ReportedTimes:
    fields = json.loads(line)
    return ReportedTimes(
        number=int(fields["probe"].rpartition("-")[2]),
        started=fields["started"],
        wait=fields["wait"],
        total=fields["total"],
        failed=fields["failed"],
    )


def measure(
    workload: Workload,
    server: ReferenceServer,
    directory: Path,
    seconds: float,
    code: Path = ROOT,
) -> Run:
    """Run the daemon in the directory `code` for `seconds` after its warm-up."""
    config = directory / "probe.yml"
    with server.run(tls=workload.tls) as endpoint:
        connection = "reuse" if workload.reuse else "new"
        write_config(config, endpoint, server, probes=workload.rate, connection=connection)
        with run_daemon(config, spin=workload.gil, code=code) as daemon:
            time.sleep(WARM_UP_SECONDS)
            since, cpu_before = time.time(), cpu_seconds(daemon.process.pid)
            time.sleep(seconds)
            until, cpu_after = time.time(), cpu_seconds(daemon.process.pid)
            daemon.stop()
            reports = [report for report in daemon.reported_times() if report.started < until]
    errors, failed = compare(reports, RequestLog.parse(endpoint.log.read_text()), since=since)
    cpu = (cpu_after - cpu_before) / max(1, len(errors) + failed)
    return Run(errors=errors, failed=failed, cpu=cpu)
