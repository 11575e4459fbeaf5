"""Runs the daemon on a workload."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.processes import cpu_seconds, end, started
from bench.reference_server import Endpoint, Log, Truth
from bench.workload import WARM_UP, Claim, Run, Workload, compare


def name(number: int) -> str:
    """Of the probe that sends the requests with a number."""
    return f"model-{number}"


def write_config(
    path: Path,
    endpoint: Endpoint,
    truth: Truth,
    *,
    probes: int,
    interval: str = "1s",
    connection: str = "new",
) -> None:
    """So many probes of an endpoint, each with a number of its own."""
    config = {
        "defaults": {
            "interval": interval,
            "timeout": "2s",
            "connection": connection,
            "tls": {"ca_file": str(truth.authority)},
        },
        "probes": [{"name": name(n), "url": f"{endpoint.url}{n}"} for n in range(1, probes + 1)],
    }
    path.write_text(yaml.safe_dump(config))


@dataclass(slots=True)
class Daemon:
    """A daemon that runs; `claims` are there after its end."""

    process: "subprocess.Popen[str]"
    port: int
    results: Path

    def claims(self) -> list[Claim]:
        return [_claim(line) for line in self.results.read_text().splitlines()]

    def stop(self) -> None:
        end(self.process)


@contextmanager
def daemon(config: Path, *, spin: bool = False) -> Iterator[Daemon]:
    """The daemon, with a note of each result."""
    results = config.with_name("results.jsonl")
    results.unlink(missing_ok=True)
    command = (sys.executable, "-m", "bench.daemon", "--config", config, "--results", results)
    with started(*command, *(("--spin",) if spin else ())) as process:
        assert process.stdout
        yield Daemon(process, int(process.stdout.readline()), results)


def _claim(line: str) -> Claim:
    said = json.loads(line)
    return Claim(
        number=int(said["probe"].rpartition("-")[2]),
        started=said["started"],
        wait=said["wait"],
        total=said["total"],
        failed=said["failed"],
    )


def run(workload: Workload, truth: Truth, directory: Path, seconds: float) -> Run:
    """Run the daemon so long, after its warm-up."""
    config = directory / "probe.yml"
    with truth.serving(tls=workload.tls) as endpoint:
        connection = "reuse" if workload.reuse else "new"
        write_config(config, endpoint, truth, probes=workload.rate, connection=connection)
        with daemon(config, spin=workload.gil) as prober:
            time.sleep(WARM_UP)
            since, before = time.time(), cpu_seconds(prober.process.pid)
            time.sleep(seconds)
            until, after = time.time(), cpu_seconds(prober.process.pid)
            prober.stop()
            claims = [claim for claim in prober.claims() if claim.started < until]
    errors, failed = compare(claims, Log.read(endpoint.log.read_text()), since=since)
    return Run(errors=errors, failed=failed, cpu=(after - before) / max(1, len(errors) + failed))
