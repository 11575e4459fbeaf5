"""What the soak probes: models that are well, endpoints that are not, and configs in turn."""

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

from bench.processes import started
from bench.reference_server import Truth, entries
from probe.result import Reason
from tests.faults.catalogue import ENDPOINT_FAULTS
from tests.faults.endpoints import endpoint
from tests.faults.fault import Fault, FaultSetup
from tests.raw_servers import always, delayed, free_port, http_response

KINDS = ("plain-new", "plain-reuse", "tls-new", "tls-reuse")
"""Of healthy probes; a request has the number of its kind, from 1, in its path."""

GUEST = "guest"
"""Healthy too, but not in every config."""

UP, DOWN = 8.0, 3.0
"""Seconds for which the restarting endpoint is there, and is not."""

# Fine around the delay, in ms: half of a bucket is what a median may be off.
BUCKETS = (5, 10, 15, *(19 + n / 10 for n in range(40)), 25, 30, 50, 100, 250, 1000)


@contextmanager
def _restarting(_: Path) -> Iterator[FaultSetup]:
    """The demo's model in a process that ends and starts again, over and over, on one port."""
    port, over = free_port(), threading.Event()
    command = (sys.executable, "-m", "probe.demo.model", "--port", str(port))

    def restart() -> None:
        while not over.wait(DOWN):
            with started(*command, stderr=subprocess.DEVNULL):
                over.wait(UP)

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        url = f"http://127.0.0.1:{port}/predict"
        yield FaultSetup(keys={"url": url, "json": {"data": "good"}, "connection": "reuse"})
    finally:
        over.set()
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
class Fleet:
    """All that is probed, and where it says how long its healthy answers took."""

    configs: tuple[str, ...]
    """To be loaded one after the other, over and over; the last one is refused."""
    logs: tuple[Path, ...]
    """Of the healthy endpoints, complete once they have ended."""


@contextmanager
def fleet(directory: Path, rate: int) -> Iterator[Fleet]:
    """So many endpoints, each for one probe a second: 7 of 10 well, 1 in 4 not, some guests."""
    guests, faulty = rate // 20, rate // 4
    with ExitStack() as stack:
        healthy, logs = _healthy(directory, stack)
        troubles = {
            slug(fault.name): stack.enter_context(fault.setup(_home(directory, slug(fault.name))))
            for fault in FAULTS
        }
        probes = [
            *_named({kind: healthy[kind] for kind in KINDS}, rate - guests - faulty),
            *_named({name: dict(setup.keys) for name, setup in troubles.items()}, faulty),
        ]
        visitors = _named({GUEST: {**healthy[KINDS[0]], "connection": "reuse"}}, guests)
        yield Fleet(configs=_configs(probes, visitors), logs=logs)


def slug(name: str) -> str:
    """The kind of the probes that meet the fault of this name."""
    return re.sub(r"\W+", "-", name.removeprefix("the endpoint "))


def kind(name: str) -> str:
    """Of a probe."""
    return name.rpartition("-")[0]


def took(logs: tuple[Path, ...], since: float) -> dict[str, list[float]]:
    """By kind: what each healthy answer to a request from then on (Unix time) took, in seconds,
    with the server's half of the handshake before it.
    """
    found: dict[str, list[float]] = {one: [] for one in KINDS}
    for log in logs:
        for number, served in entries(log.read_text()):
            if served.arrived >= since:
                found[KINDS[number - 1]].append(served.whole)
    return found


def _healthy(
    directory: Path, stack: ExitStack
) -> tuple[dict[str, dict[str, Any]], tuple[Path, ...]]:
    """The keys of a probe of each kind, and the logs."""
    keys, logs = {}, []
    for number, one in enumerate(KINDS, 1):
        truth = Truth(_home(directory, one))
        served = stack.enter_context(truth.serving(tls=one.startswith("tls")))
        logs.append(served.log)
        keys[one] = {
            "url": f"{served.url}{number}",
            "connection": one.rpartition("-")[2],
            "timeout": "5s",  # a busy machine must not be taken for a failure
            "tls": {"ca_file": str(truth.authority)},
            "buckets": [f"{ms:g}ms" for ms in BUCKETS],
        }
    return keys, tuple(logs)


def _home(directory: Path, name: str) -> Path:
    home = directory / name
    home.mkdir()
    return home


def _named(kinds: Mapping[str, dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """So many probes, of each kind in turn."""
    turns = islice(cycle(kinds.items()), count)
    return [{"name": f"{one}-{n}", **keys} for n, (one, keys) in enumerate(turns, 1)]


def _configs(probes: list[dict[str, Any]], guests: list[dict[str, Any]]) -> tuple[str, ...]:
    """With guests, with guests that are promised something else, without, and a broken one."""
    promised = [{"name": "fast", "target": "99%", "latency": "100ms"}]
    moved = [{**guest, "timeout": "500ms", "objectives": promised} for guest in guests]
    defaults = {
        "interval": "1s",
        "timeout": "1s",
        "startup_grace": "0s",
        "objectives": [{"name": "fast", "target": "99%", "latency": "50ms"}],
    }
    written = [
        yaml.safe_dump({"defaults": defaults, "probes": [*probes, *some]})
        for some in (guests, moved, [])
    ]
    return (*written, written[0].replace("interval: 1s", "interval: 1"))
