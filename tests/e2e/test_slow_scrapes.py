"""Slow scrapes, whose samples are stored while the rules are evaluated."""

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
from tests.e2e.observer import FACTOR, WINDOW_SECONDS
from tests.servers import serve

pytestmark = pytest.mark.timing

# The rules are evaluated twice in a scrape interval.
SCRAPE_INTERVAL_SECONDS = 60 / FACTOR
# A scrape takes so long that one is in progress during each evaluation.
RESPONSE_SECONDS = 40 / FACTOR
# With more series the evaluation of a rule takes longer.
TARGETS = 100
PROBES_PER_TARGET = 5
BUCKETS = (*(f"{bound / 1000}" for bound in range(20, 500, 20)), "0.5", "+Inf")
FAILURES_AT_START = 200
TIMEOUT_SECONDS = 60

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
    for probe in (f'probe="{number}"' for number in range(PROBES_PER_TARGET))
)


async def exporter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve counters: two good requests per second, and one bad request every three seconds."""
    await reader.readuntil(b"\r\n\r\n")
    now = int(time.monotonic())
    page = PAGE.replace("GOOD", str(2 * now)).replace("BAD", str(FAILURES_AT_START + now // 3))
    await asyncio.sleep(RESPONSE_SECONDS)
    writer.write((HEAD.format(len(page)) + page).encode())
    await writer.drain()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusQueries:
    """Queries a Prometheus that has scraped the targets for a while."""

    url: str

    def query(self, expression: str) -> list[float]:
        """Return the values of the series."""
        response = http.get_json(f"{self.url}/api/v1/query", query=expression)
        return [float(series["value"][1]) for series in response["data"]["result"]]

    def becomes(self, expression: str, value: float) -> bool:
        """Return whether the expression gets `value` within TIMEOUT_SECONDS."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self.query(expression) != [value]:
            if time.monotonic() > deadline:
                return False
            time.sleep(1)
        return True


@pytest.fixture
def prometheus(tmp_path: Path, binaries: Binaries) -> Iterator[PrometheusQueries]:
    stop = threading.Event()
    with serve(exporter) as url, Stack(tmp_path, factor=FACTOR, stop=stop) as stack:
        url_of_prometheus = stack._start_prometheus(binaries.prometheus, _config(stack, url))
        time.sleep(2 * SCRAPE_INTERVAL_SECONDS + WINDOW_SECONDS)
        stack.check()
        yield PrometheusQueries(url=url_of_prometheus)


def _config(stack: Stack, url: str) -> str:
    """Return the config of a Prometheus with the bundled rules and one exporter as many targets."""
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
    times = {
        "scrape_interval": f"{SCRAPE_INTERVAL_SECONDS:.0f}s",
        "scrape_timeout": f"{SCRAPE_INTERVAL_SECONDS:.0f}s",
    }
    targets = [{"targets": [address], "labels": {"instance": str(n)}} for n in range(TARGETS)]
    config["scrape_configs"] = [job | times | {"static_configs": targets}]
    return yaml.safe_dump(config)


@pytest.mark.full
def test_rules_read_a_consistent_state(prometheus: PrometheusQueries) -> None:
    """The count of bad requests never falls: `increase` would count all of them again.

    Successes and events appear at the latest in the evaluation after the scrape.
    """
    probes = TARGETS * PROBES_PER_TARGET
    assert prometheus.becomes("count(inference_probe:slo_bad:count)", probes)
    assert prometheus.query("max(resets(inference_probe:slo_bad:count[1h]))") == [0]
    for name in ("failures_at_success:count", "last_event:timestamp_seconds"):
        assert prometheus.becomes(f"count(changes(inference_probe:{name}[1h]) > 2)", probes), name
