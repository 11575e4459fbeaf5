"""A load test of three shares, whose sum a real Prometheus has."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from probe.clock import rfc3339
from probe.demo.stack import Binaries, free_port
from tests.commands import environment, invoke
from tests.prometheus.processes import running_prometheus
from tests.servers import respond_with, serve

SHARES = 3
CONFIG = """\
probes:
  - name: model
    url: {url}
    timeout: 1s
"""
FLAGS = ("--slo=95% < 2s", "--errors=1%")
# Time until all shares have started, on a busy machine.
START_SECONDS = 30.0


@contextmanager
def _share(index: int, port: int, start: str, config: Path) -> Iterator[subprocess.Popen[str]]:
    command = (
        *(sys.executable, "-m", "probe", "load", "model", f"--config.file={config}", *FLAGS),
        *("--rates=30,60", "--step-duration=3s", f"--share={index}/{SHARES}", "--processes=1"),
        *(f"--start-at={start}", f"--web.listen-address=127.0.0.1:{port}", "--output=json"),
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment(), stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def _document(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for the end of a share, and return its JSON report."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def _sum(documents: list[dict[str, Any]], number: int, key: str) -> int:
    return sum(document["steps"][number][key] for document in documents)


@pytest.mark.full
@pytest.mark.timing
def test_report_of_three_shares(tmp_path: Path, newest_binaries: Binaries) -> None:
    """The report from Prometheus has the sum of the requests of all shares."""
    config = tmp_path / "probe.yml"
    ports = [free_port() for _ in range(SHARES)]
    targets = [f"127.0.0.1:{port}" for port in ports]
    with ExitStack() as stack:
        url = stack.enter_context(serve(respond_with(delay=0.02)))
        config.write_text(CONFIG.format(url=url))
        binary = newest_binaries.prometheus
        scrape = {"job_name": "load", "static_configs": [{"targets": targets}]}
        prometheus_config = {
            "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
            "scrape_configs": [scrape],
        }
        prometheus = stack.enter_context(running_prometheus(binary, tmp_path, prometheus_config))
        start = rfc3339(time.time() + START_SECONDS)
        shares = [
            stack.enter_context(_share(index, port, start, config))
            for index, port in enumerate(ports)
        ]
        documents = [_document(share) for share in shares]
        flags = (f"--config.file={config}", *FLAGS, f"--from-prometheus={prometheus}")
        done = invoke("load", "model", *flags, "--output=json")
        again = invoke("load", "model", *flags, f"--start-at={start}")
        other = invoke("load", "model", *flags, "--slo=99.9%")
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert [step["rate"] for step in report["steps"]] == [30, 60]
    for number, step in enumerate(report["steps"]):
        for key in ("offered", "completed", "dropped", "requests", "bad"):
            assert step[key] == _sum(documents, number, key), key
        failures = [Counter(document["steps"][number]["failures"]) for document in documents]
        assert Counter(step["failures"]) == sum(failures, Counter())
        assert step["offered"] == pytest.approx(3 * step["rate"], rel=0.4)
        assert step["in_flight"] == pytest.approx(_sum(documents, number, "in_flight"), rel=0.01)
        medians = [document["steps"][number]["p50"] for document in documents]
        assert min(medians) <= step["p50"] <= 1.11 * max(medians)
    assert done.returncode == 1  # steps of 3 s confirm nothing
    assert report["reason"] == "no step of at least 2 minutes met the objectives"
    assert "60/s" in again.stdout
    assert "the run has the objectives 95% < 2s, errors <= 1%" in other.stderr
