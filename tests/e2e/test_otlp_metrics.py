"""Metrics that are pushed with OTLP are those of a scrape, and the rules read them."""

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from probe.demo import http
from probe.demo.stack import Binaries
from probe.resources import resource_path
from tests.commands import Running, running
from tests.otlp import remote_write
from tests.otlp.collector import Collector, collecting
from tests.prometheus.processes import running_prometheus
from tests.server.page_fixtures import wait_until
from tests.servers import respond_with, serve

DEFAULTS = {"interval": "200ms", "startup_grace": "0s"}
OBJECTIVES = [
    {"name": "fast", "target": "99%", "latency": "1s"},  # the label le of its bucket is "1"
    {"name": "faster", "target": "99%", "latency": "250ms"},
    {"name": "fastest", "target": "99%", "latency": "50us"},  # "5e-05", and of OTLP "0.00005"
    {"name": "up", "target": "99.9%"},
]
ERROR = b"HTTP/1.1 500 Failed\r\nContent-Length: 0\r\n\r\n"
TIMEOUT_SECONDS = 30

# Metrics that change during a pause: those of the process, and the ticks, which are skipped.
CHANGING = re.compile("process_|python_|inference_probe_(ticks|skipped)_total")

# Labels of a target.
TARGET = ("job", "instance")

Series = Mapping[tuple[tuple[str, str], ...], float]


@contextmanager
def prometheus_with_rules(
    binaries: Binaries, directory: Path, daemon: Running
) -> Iterator["PushedPrometheus"]:
    """Run a Prometheus with the rules that scrapes the daemon as the job `scraped`."""
    config = {
        "global": {"scrape_interval": "1s"},
        "rule_files": [str(resource_path("rules/inference-probe.rules.yml"))],
        "scrape_configs": [
            {
                "job_name": "scraped",
                "static_configs": [{"targets": [f"127.0.0.1:{daemon.port}"]}],
            }
        ],
    }
    command = [binaries.prometheus, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    has_otlp = "web.enable-otlp-receiver" in done.stdout + done.stderr
    flag = f"--web.enable-{'otlp' if has_otlp else 'remote-write'}-receiver"
    with running_prometheus(binaries.prometheus, directory, config, flag) as url:
        yield PushedPrometheus(url=url, has_otlp=has_otlp)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedPrometheus:
    """A Prometheus that receives metrics, if its package has no OTLP receiver by remote write."""

    url: str
    has_otlp: bool

    def receive(self, document: Any) -> None:
        if self.has_otlp:
            url = f"{self.url}/api/v1/otlp/v1/metrics"
            response = requests.post(url, json=document, timeout=10)
            assert response.ok, response.text
        else:
            remote_write.write(self.url, remote_write.series_of(document))

    def results(self, expression: str) -> tuple[Series, Series]:
        """Return the result for the scraped and for the pushed series, when there are both."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            response = http.get_json(f"{self.url}/api/v1/query", query=expression)
            by_job: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
            for item in response["data"]["result"]:
                if key := comparable(item["metric"]):
                    job = item["metric"]["job"]
                    by_job.setdefault(job, {})[key] = float(item["value"][1])
            if by_job.keys() >= {"scraped", "inference-probe"}:
                return by_job["scraped"], by_job["inference-probe"]
            assert time.monotonic() < deadline, f"{expression}: {by_job.keys()}"
            time.sleep(0.2)


def test_the_series_are_those_of_a_scrape(tmp_path: Path, binaries: Binaries) -> None:
    """Names, labels and values, also in the results of the rules that count good and bad requests.

    The probing is paused, so that both have the same counts.
    """
    with (
        collecting() as collector,
        serve(respond_with()) as good,
        serve(respond_with(ERROR)) as bad,
    ):
        probes = [
            {"name": name, "url": url, "objectives": OBJECTIVES}
            for name, url in (("good", good), ("bad", bad))
        ]
        (tmp_path / "probe.yml").write_text(
            yaml.safe_dump({"defaults": DEFAULTS, "probes": probes})
        )
        flags = ("--otlp.interval=1s", f"--otlp.endpoint={collector.url}", "--web.enable-lifecycle")
        with running(f"--config.file={tmp_path / 'probe.yml'}", *flags) as daemon:
            daemon.wait_for("inference_probe_runs_total", 6)
            pause(daemon)
            with prometheus_with_rules(binaries, tmp_path, daemon) as prometheus:
                prometheus.receive(next_push(collector))
                scraped, pushed = prometheus.results('{__name__=~".+"}')
                assert {key for key in scraped if scraped[key] != pushed.get(key)} == set()
                more = {dict(key)["__name__"] for key in pushed.keys() - scraped.keys()}
                assert more <= {"target_info"}
                for record in ("inference_probe:slo_good:count", "inference_probe:slo_bad:count"):
                    scraped, pushed = prometheus.results(expression_of(record))
                    assert len(pushed) == 2 * len(OBJECTIVES)
                    assert scraped == pushed
                    assert sum(pushed.values()) > 0


def pause(daemon: Running) -> None:
    """Pause the probing, and wait for the requests in flight."""
    requests.post(f"{daemon.url}/-/pause", timeout=10)
    while daemon.total("inference_probe_in_flight"):
        time.sleep(0.05)


def next_push(collector: Collector) -> Any:
    """Return the metrics of a push that begins later."""
    number = len(collector.requests)
    wait_until(lambda: len(collector.requests) >= number + 2)
    return collector.documents[-1]


def expression_of(record: str) -> str:
    """Return the expression of a recording in the rules."""
    document = yaml.safe_load(resource_path("rules/inference-probe.rules.yml").read_text())
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    (expression,) = (rule["expr"] for rule in rules if rule.get("record") == record)
    assert isinstance(expression, str)
    return expression


def comparable(labels: Mapping[str, Any]) -> tuple[tuple[str, str], ...] | None:
    """Return the labels that are the same in both ways; None for series that are left out."""
    name = labels.get("__name__", "")
    if (
        CHANGING.match(name)
        or name == "up"
        or name.startswith(("scrape_", "ALERTS"))
        or ":" in name
    ):
        return None
    return tuple(
        sorted(
            (label, str(float(value)) if label in ("le", "threshold") else value)
            for label, value in labels.items()
            if label not in TARGET
        )
    )
