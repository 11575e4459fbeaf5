"""A report about a real daemon that a real Prometheus scrapes, with a reload and a restart."""

import asyncio
import json
import time
from datetime import datetime
from pathlib import Path

import pytest

from probe.demo import http
from probe.demo.stack import Binaries, free_port
from tests.commands import invoke, running
from tests.prometheus.processes import running_prometheus
from tests.servers import OK, serve

CONFIG = """\
probes:
  - name: model
    url: {url}
    interval: 100ms
    timeout: 1s
    startup_grace: 0s
    objectives:
      - {{name: fast, target: 99%, latency: 500ms}}
"""
SECOND_OBJECTIVE = "      - {name: available, target: 99.9%}\n"
ERROR = b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n"


class _Model:
    """An endpoint that counts its responses, and can fail."""

    def __init__(self) -> None:
        self.is_failing = False
        self.good = 0
        self.bad_times: list[float] = []
        """Times of the failures (Unix seconds)."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            if self.is_failing:
                self.bad_times.append(time.time())
            else:
                self.good += 1
            writer.write(ERROR if self.is_failing else OK)
            await writer.drain()


def _scrapes(prometheus: str) -> list[float]:
    """Return the times of the successful scrapes (Unix seconds)."""
    response = http.get_json(f"{prometheus}/api/v1/query", query="up[1h]")
    samples = [sample for series in response["data"]["result"] for sample in series["values"]]
    return [instant for instant, value in samples if value == "1"]


def _wait_for_scrapes(prometheus: str) -> None:
    """Wait for two scrapes. The first one may be ten seconds after the start of Prometheus."""
    deadline = time.monotonic() + 30
    while len(_scrapes(prometheus)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.full
@pytest.mark.timing
def test_report_of_a_daemon(tmp_path: Path, newest_binaries: Binaries) -> None:
    """The events are those that the endpoint has seen, but for those after the last scrapes."""
    model, port = _Model(), free_port()
    config = tmp_path / "probe.yml"
    target = {"job_name": "probes", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    scraping = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [target],
    }
    flags = (
        f"--config.file={config}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
    )
    with (
        serve(model.handle) as url,
        running_prometheus(newest_binaries.prometheus, tmp_path, scraping) as prometheus,
    ):
        config.write_text(CONFIG.format(url=url))
        with running(*flags) as daemon:
            _wait_for_scrapes(prometheus)
            model.is_failing = True
            time.sleep(2)
            model.is_failing = False
            time.sleep(3)
            config.write_text(config.read_text() + SECOND_OBJECTIVE)
            assert invoke("reload", f"--daemon.url={daemon.url}").returncode == 0
            time.sleep(4)
            daemon.terminate()
        with running(*flags):
            time.sleep(4)
        done = invoke(
            "report",
            f"--prometheus.url={prometheus}",
            "--last=1h",
            "--format=json",
            "--probe=model",
        )
        scrapes = _scrapes(prometheus)
    assert done.returncode == 3, done.stderr  # seconds of an hour
    document = json.loads(done.stdout)
    objectives = {objective["slo"]: objective for objective in document["objectives"]}
    fast, available = objectives["fast"], objectives["available"]
    bad = len(model.bad_times)
    assert (fast["bad"], fast["reasons"]) == (bad, {"http_5xx": bad})
    # Three times at most 1 s was not scraped: before the reload, the restart and the end.
    assert model.good - 33 <= fast["good"] <= model.good
    assert (available["bad"], fast["threshold_seconds"]) == (0, 0.5)
    assert 0 < available["good"] < 100
    (incident,) = fast["incidents"]
    assert incident["bad"] == bad
    start, end = (datetime.fromisoformat(incident[key]).timestamp() for key in ("from", "to"))
    # From the scrape before the first failure to the one after the last. A failure during a scrape
    # may be in its samples or in the next ones.
    assert start in [instant for instant in scrapes if instant < model.bad_times[0]][-2:]
    assert end in [instant for instant in scrapes if instant > model.bad_times[-1]][:2]
    (coverage,) = document["coverage"]
    (replica,) = coverage["replicas"]
    assert replica["restarts"] == 1
    assert 0 < coverage["absent_seconds"] < 6
    # The processes were absent for a while, and needed time for their start.
    missing = coverage["expected"] - coverage["due"] - 10 * coverage["absent_seconds"]
    assert 0 <= missing < 100
    assert {item["time"] for item in document["times"]} >= {"latency", "connect", "wait"}
