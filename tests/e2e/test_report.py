"""A report about a real daemon that a real Prometheus scrapes, with a reload and a restart."""

import asyncio
import json
import time
from pathlib import Path

import pytest

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
        self.bad = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            if self.is_failing:
                self.bad += 1
            else:
                self.good += 1
            writer.write(ERROR if self.is_failing else OK)
            await writer.drain()


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
            time.sleep(4)
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
    assert done.returncode == 3, done.stderr  # seconds of an hour
    document = json.loads(done.stdout)
    objectives = {objective["slo"]: objective for objective in document["objectives"]}
    fast, available = objectives["fast"], objectives["available"]
    assert (fast["bad"], fast["reasons"]) == (model.bad, {"http_5xx": model.bad})
    # Three times at most 1 s was not scraped: before the reload, the restart and the end.
    assert model.good - 33 <= fast["good"] <= model.good
    assert (available["bad"], fast["threshold_seconds"]) == (0, 0.5)
    assert 0 < available["good"] < 100
    (incident,) = fast["incidents"]
    assert (incident["bad"], incident["seconds"]) == (model.bad, pytest.approx(2.5, abs=1.5))
    (coverage,) = document["coverage"]
    (replica,) = coverage["replicas"]
    assert replica["restarts"] == 1
    assert 0 < coverage["absent_seconds"] < 6
    # The processes were absent for a while, and needed time for their start.
    missing = coverage["expected"] - coverage["due"] - 10 * coverage["absent_seconds"]
    assert 0 <= missing < 100
    assert {item["time"] for item in document["times"]} >= {"latency", "connect", "wait"}
