"""The targets of the soak test: healthy and faulty endpoints, and the configs that probe them."""

import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import yaml

from bench.processes import run_process
from bench.reference_server import ReferenceServer, parse_log
from probe.result import Reason
from tests.faults.catalogue import ENDPOINT_FAULTS
from tests.faults.endpoints import endpoint
from tests.faults.fault import Fault, FaultSetup
from tests.raw_servers import always, delayed, free_port, http_response

# The kinds of healthy probes. The path of a request is the number of its kind, from 1.
HEALTHY_KINDS = ("plain-new", "plain-reuse", "tls-new", "tls-reuse")

# The kind of healthy probes that reloads add, change and remove.
TEMPORARY_KIND = "temporary"

# Of the endpoint that restarts.
UP_SECONDS, DOWN_SECONDS = 8.0, 3.0

# Narrow around the delay, because the error of a median is up to half a bucket.
BUCKETS_MS = (5, 10, 15, *(19 + n / 10 for n in range(40)), 25, 30, 50, 100, 250, 1000)


@contextmanager
def _restarting(_: Path) -> Iterator[FaultSetup]:
    """Run the demo's model in a process that is stopped and started repeatedly, on one port."""
    port, stopped = free_port(), threading.Event()
    command = (sys.executable, "-m", "probe.demo.model", "--port", str(port))

    def restart() -> None:
        while not stopped.wait(DOWN_SECONDS):
            with run_process(*command, stderr=subprocess.DEVNULL):
                stopped.wait(UP_SECONDS)

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        url = f"http://127.0.0.1:{port}/predict"
        yield FaultSetup(keys={"url": url, "json": {"data": "good"}, "connection": "reuse"})
    finally:
        stopped.set()
        thread.join()


FAULTS = (
    *ENDPOINT_FAULTS,
    Fault(
        name="the endpoint takes 0.4 s",
        setup=endpoint(delayed(0.4, http_response())),
        succeeds=True,
    ),
    Fault(
        name="the endpoint responds with 500",
        setup=endpoint(always(http_response(status="500 Oops")), connection="reuse"),
        reasons=frozenset({Reason.HTTP_5XX}),
    ),
    Fault(
        name="the endpoint restarts every 11 s",
        setup=_restarting,
        reasons=frozenset({Reason.REFUSED, Reason.RESET, Reason.HTTP_5XX}),
        succeeds=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Running endpoints. `configs` are loaded in turn; the last one is invalid.

    `logs` are those of the healthy endpoints, complete after their end.
    """

    configs: tuple[str, ...]
    logs: tuple[Path, ...]


@contextmanager
def run_targets(directory: Path, rate: int) -> Iterator[Targets]:
    """Run the endpoints for `rate` probes per second.

    70 % of the probes are healthy, 25 % are faulty, and 5 % are temporary.
    """
    temporary, faulty = rate // 20, rate // 4
    with ExitStack() as stack:
        healthy, logs = _healthy(directory, stack)
        setups = {
            kind: stack.enter_context(fault.setup(_make_directory(directory, kind)))
            for kind, fault in ((kind_of_fault(fault.name), fault) for fault in FAULTS)
        }
        probes = [
            *_probes({kind: healthy[kind] for kind in HEALTHY_KINDS}, rate - temporary - faulty),
            *_probes({kind: dict(setup.keys) for kind, setup in setups.items()}, faulty),
        ]
        keys = {**healthy[HEALTHY_KINDS[0]], "connection": "reuse"}
        temporary_probes = _probes({TEMPORARY_KIND: keys}, temporary)
        yield Targets(configs=_configs(probes, temporary_probes), logs=logs)


def kind_of_fault(name: str) -> str:
    """Return the kind of the probes of an endpoint with the fault `name`."""
    return re.sub(r"\W+", "-", name.removeprefix("the endpoint "))


def kind_of(probe: str) -> str:
    """Return the kind of a probe: its name without the number."""
    return probe.rpartition("-")[0]


def true_latencies(logs: tuple[Path, ...], since: float) -> dict[str, list[float]]:
    """Return the true latencies of the healthy endpoints by kind, in seconds.

    Requests that arrived before `since` (Unix time) are left out. The server's part of the TLS
    handshake is included.
    """
    latencies: dict[str, list[float]] = {kind: [] for kind in HEALTHY_KINDS}
    for log in logs:
        for number, request in parse_log(log.read_text()):
            if request.arrived >= since:
                latencies[HEALTHY_KINDS[number - 1]].append(request.duration_with_handshake)
    return latencies


def _healthy(
    directory: Path, stack: ExitStack
) -> tuple[dict[str, dict[str, Any]], tuple[Path, ...]]:
    """Start the healthy endpoints; return the keys of a probe by kind, and the logs."""
    keys, logs = {}, []
    for number, kind in enumerate(HEALTHY_KINDS, 1):
        server = ReferenceServer(_make_directory(directory, kind))
        endpoint = stack.enter_context(server.run(tls=kind.startswith("tls")))
        logs.append(endpoint.log)
        keys[kind] = {
            "url": f"{endpoint.url}{number}",
            "connection": kind.rpartition("-")[2],
            "timeout": "5s",  # no failures because of a busy machine
            "tls": {"ca_file": str(server.ca_file)},
            "buckets": [f"{ms:g}ms" for ms in BUCKETS_MS],
        }
    return keys, tuple(logs)


def _make_directory(parent: Path, name: str) -> Path:
    directory = parent / name
    directory.mkdir()
    return directory


def _probes(keys_by_kind: Mapping[str, dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return the config of `count` probes, of each kind in turn."""
    kinds = islice(cycle(keys_by_kind.items()), count)
    return [{"name": f"{kind}-{n}", **keys} for n, (kind, keys) in enumerate(kinds, 1)]


def _configs(probes: list[dict[str, Any]], temporary: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the configs: with temporary probes, with changed ones, without, and an invalid one."""
    objectives = [{"name": "fast", "target": "99%", "latency": "100ms"}]
    changed = [{**probe, "timeout": "500ms", "objectives": objectives} for probe in temporary]
    defaults = {
        "interval": "1s",
        "timeout": "1s",
        "startup_grace": "0s",
        "objectives": [{"name": "fast", "target": "99%", "latency": "50ms"}],
    }
    configs = [
        yaml.safe_dump({"defaults": defaults, "probes": [*probes, *others]})
        for others in (temporary, changed, [])
    ]
    return (*configs, configs[0].replace("interval: 1s", "interval: 1"))
