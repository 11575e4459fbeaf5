"""Run the daemon on a workload of streams, and read the times that it recorded."""

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from bench.daemon import probe_name, run_daemon
from bench.processes import cpu_seconds
from bench.reference_server import (
    START_TOLERANCE_SECONDS,
    Endpoint,
    ReferenceServer,
    ServedStream,
    parse_stream_log,
)
from bench.stream_workload import (
    WARM_UP_SECONDS,
    ReportedStream,
    StreamRun,
    StreamWorkload,
    compare,
)


def stream_probe(endpoint: Endpoint, number: int) -> dict[str, Any]:
    """Return the config of a probe of streams, with a `number` in its name and path."""
    return {
        "name": probe_name(number),
        "url": f"{endpoint.url}{number}/v1/chat/completions",
        "protocol": {"openai-chat": {"model": "reference", "prompt": "ba de fi"}},
    }


def measure(
    workload: StreamWorkload, server: ReferenceServer, directory: Path, seconds: float
) -> StreamRun:
    """Run the daemon with one probe per second and stream, for `seconds` after its warm-up."""
    config = directory / "probe.yml"
    with server.run(tls=False, streams=workload.shape) as endpoint:
        probes = [stream_probe(endpoint, number) for number in range(1, workload.rate + 1)]
        defaults = {"interval": "1s", "timeout": "10s"}
        config.write_text(yaml.safe_dump({"defaults": defaults, "probes": probes}))
        with run_daemon(config, spin=workload.gil) as daemon:
            time.sleep(WARM_UP_SECONDS)
            since, cpu_before = time.time(), cpu_seconds(daemon.process.pid)
            time.sleep(seconds)
            until, cpu = time.time(), cpu_seconds(daemon.process.pid) - cpu_before
            daemon.stop()
            lines = daemon.results.read_text().splitlines()
    results = [result for result in map(json.loads, lines) if since <= result["started"] < until]
    served = parse_stream_log(endpoint.log.read_text())
    errors, failed = compare(_with_ids(results, served), served, workload.shape)
    tokens = sum(result["tokens"] for result in results)
    return StreamRun(errors=errors, failed=failed, cpu=cpu / max(1, tokens))


def _with_ids(
    results: Iterable[Mapping[str, Any]], served: Mapping[int, ServedStream]
) -> list[ReportedStream]:
    """Return the streams of `results` with the ids of the server.

    The stream of a result is the first one with the number of its probe that arrived after its
    start. A probe has one stream at a time. Without one, the id is 0.
    """
    streams = sorted(served.items(), key=lambda item: item[1].arrived)
    reports = []
    for result in results:
        number = int(result["probe"].rpartition("-")[2])
        start = result["started"] - START_TOLERANCE_SECONDS
        ids = (
            stream_id
            for stream_id, stream in streams
            if stream.number == number and stream.arrived >= start
        )
        reports.append(
            ReportedStream(
                id=next(ids, 0),
                first_token=None if result["failed"] else result["first_token"],
                time_per_token=result["time_per_token"],
            )
        )
    return reports
