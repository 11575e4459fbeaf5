"""Versions of a model that a real daemon probes and a real Prometheus records."""

import asyncio
import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from probe.demo.stack import Binaries
from tests.commands import invoke, running
from tests.prometheus.processes import running_prometheus
from tests.servers import OK, serve

SECONDS = 8
CONFIG = """\
probes:
  - name: chat
    url: {url}
    interval: 100ms
    timeout: 1s
    version: {{from: header, key: X-Version}}
    histogram_by: [version]
    objectives: [{{name: fast, target: 99%, latency: 120ms}}]
"""


@pytest.mark.timing
def test_versions(tmp_path: Path, binaries: Binaries) -> None:
    """The version that is slower than the objective is worse, by requests and by buckets."""
    numbers = itertools.count()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        version = 1 + next(numbers) % 2
        await asyncio.sleep(0.15 if version == 2 else 0.02)
        writer.write(OK.replace(b"Content-Type", b"X-Version: %d\r\nContent-Type" % version))
        await writer.drain()

    config = tmp_path / "probe.yml"
    with serve(respond) as url:
        config.write_text(CONFIG.format(url=url))
        with running(f"--config.file={config}") as daemon:
            target = daemon.url.removeprefix("http://")
            scrapes = {
                "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
                "scrape_configs": [{"job_name": "p", "static_configs": [{"targets": [target]}]}],
            }
            with running_prometheus(str(binaries.prometheus), tmp_path, scrapes) as prometheus:
                time.sleep(SECONDS)
                flags = (f"--prometheus.url={prometheus}", "--output=json")
                done = invoke("compare", "chat@version=1", "chat@version=2", *flags)
    document: dict[str, Any] = json.loads(done.stdout)
    assert (done.returncode, document["verdict"]) == (1, "worse"), yaml.safe_dump(document)
    a, b = document["a"], document["b"]
    assert 15 < a["requests"] < 60
    assert a["bad"] < a["requests"] / 4
    assert b["bad"] == b["requests"]
    bad = document["differences"][0]
    assert bad["verdict"] == "worse"
    p50 = document["resolution"][0]
    assert p50["a"][1] < 0.15 <= p50["b"][1]
    assert document["notes"] == []
