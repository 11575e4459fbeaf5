"""Scrapes that take so long that they are stored while the rules are being evaluated."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from probe.demo import files, http
from probe.demo.stack import Binaries, Stack
from tests.e2e.observer import FACTOR, WINDOW
from tests.servers import serving

INTERVAL = 60 / FACTOR  # seconds between two scrapes; the rules are evaluated twice in that time
ANSWER = 40 / FACTOR  # seconds that a scrape takes, so an evaluation always finds one under way
TARGETS = 100
PROBES = 5  # of each target. The more there are in all, the longer it takes to evaluate a rule
BUCKETS = (*(f"{bound / 1000}" for bound in range(20, 500, 20)), "0.5", "+Inf")
FAILED = 200  # requests, before all this began
PATIENCE = 60  # seconds

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\r\n"
PROBE = """\
inference_probe_slo_objective_ratio{{{0},slo="fast",signal="latency",threshold="0.5",alert="page"}} 0.99
inference_probe_interval_seconds{{{0}}} 0.5
inference_probe_timeout_seconds{{{0}}} 0.5
inference_probe_latency_seconds_count{{{0},outcome="failure"}} BAD
inference_probe_latency_seconds_count{{{0},outcome="success"}} GOOD
"""  # noqa: E501
BUCKET = 'inference_probe_latency_seconds_bucket{{{0},outcome="success",le="{1}"}} GOOD\n'
PAGE = "".join(
    PROBE.format(probe) + "".join(BUCKET.format(probe, le) for le in BUCKETS)
    for probe in (f'probe="{number}"' for number in range(PROBES))
)


async def exporter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Two good requests a second and a bad one every three seconds, as of when it was asked."""
    await reader.readuntil(b"\r\n\r\n")
    now = int(time.monotonic())
    page = PAGE.replace("GOOD", str(2 * now)).replace("BAD", str(FAILED + now // 3))
    await asyncio.sleep(ANSWER)
    writer.write((HEAD.format(len(page)) + page).encode())
    await writer.drain()


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A Prometheus that has scraped them for a while."""

    prometheus: str

    def ask(self, expression: str) -> list[float]:
        """The values of the series."""
        answer = http.get_json(f"{self.prometheus}/api/v1/query", query=expression)
        return [float(series["value"][1]) for series in answer["data"]["result"]]

    def tells(self, expression: str, value: float) -> bool:
        """Whether it is so before patience is over; a busy machine is late."""
        deadline = time.monotonic() + PATIENCE
        while self.ask(expression) != [value]:
            if time.monotonic() > deadline:
                return False
            time.sleep(1)
        return True


@pytest.fixture
def memory(tmp_path: Path, binaries: Binaries) -> Iterator[Memory]:
    stop = threading.Event()
    with serving(exporter) as url, Stack(tmp_path, factor=FACTOR, stop=stop) as stack:
        prometheus = stack._start_prometheus(binaries.prometheus, _config(stack, url))
        time.sleep(2 * INTERVAL + WINDOW)
        stack.check()
        yield Memory(prometheus=prometheus)


def _config(stack: Stack, url: str) -> str:
    """Of a Prometheus with the bundled rules, to which one exporter is many targets."""
    address = url.removeprefix("http://").rstrip("/")
    config = yaml.safe_load(
        files.prometheus(
            FACTOR,
            rules=str(stack._write("rules.yml", files.rules(FACTOR))),
            target=address,
            alertmanager="127.0.0.1:9",
        )
    )
    (job,) = config["scrape_configs"]
    times = {"scrape_interval": f"{INTERVAL:.0f}s", "scrape_timeout": f"{INTERVAL:.0f}s"}
    named = [{"targets": [address], "labels": {"instance": str(n)}} for n in range(TARGETS)]
    config["scrape_configs"] = [job | times | {"static_configs": named}]
    return yaml.safe_dump(config)


@pytest.mark.full
def test_rules_see_one_state(memory: Memory) -> None:
    """What was bad never falls: `increase` would take that for a restart, and count all of it anew.
    Successes and events are seen, if not by the evaluation that a scrape is late for, by the next.
    """
    probes = TARGETS * PROBES
    assert memory.tells("count(inference_probe:slo_bad:count)", probes)
    assert memory.ask("max(resets(inference_probe:slo_bad:count[1h]))") == [0]
    for name in ("failures_at_success:count", "last_event:timestamp_seconds"):
        assert memory.tells(f"count(changes(inference_probe:{name}[1h]) > 2)", probes), name
