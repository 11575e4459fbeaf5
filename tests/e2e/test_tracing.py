"""Exemplars in Prometheus, and traces in an OTLP receiver."""

import time
from pathlib import Path
from typing import Any

import yaml

from probe.demo import http
from probe.demo.stack import Binaries
from tests.commands import running
from tests.otlp.collector import collecting, traced_model
from tests.prometheus.processes import running_prometheus
from tests.servers import respond_with, serve

ERROR = b"HTTP/1.1 500 Failed\r\nContent-Length: 0\r\n\r\n"
TIMEOUT_SECONDS = 30


def test_exemplars_in_prometheus(tmp_path: Path, binaries: Binaries) -> None:
    """Its API returns the traces of failed and of slow requests, which are those of the results."""
    with serve(respond_with(ERROR)) as failing, serve(respond_with(delay=0.05)) as slow:
        config = {
            "defaults": {"interval": "200ms", "startup_grace": "0s"},
            "probes": [
                {"name": "failing", "url": failing},
                {
                    "name": "slow",
                    "url": slow,
                    "objectives": [{"name": "fast", "target": "99%", "latency": "10ms"}],
                },
            ],
            "tracing": {"sample": "failures"},
        }
        (tmp_path / "probe.yml").write_text(yaml.safe_dump(config))
        with running(f"--config.file={tmp_path / 'probe.yml'}") as daemon:
            scrape = {
                "job_name": "probe",
                "static_configs": [{"targets": [f"127.0.0.1:{daemon.port}"]}],
            }
            with running_prometheus(
                binaries.prometheus,
                tmp_path,
                {"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape]},
                "--enable-feature=exemplar-storage",
            ) as prometheus:
                found = _exemplars(prometheus)
                results = {
                    name: daemon.get(f"/api/v1/probes/{name}/results").json()["recent"]
                    for name in ("failing", "slow")
                }
    for probe, outcome in (("failing", "failure"), ("slow", "success")):
        assert found[probe]["seriesLabels"]["outcome"] == outcome
        traces = {result["trace_id"] for result in results[probe]}
        for exemplar in found[probe]["exemplars"]:
            assert exemplar["labels"].keys() == {"trace_id"}
            assert exemplar["labels"]["trace_id"] in traces


def test_a_trace_with_the_span_of_the_server(tmp_path: Path) -> None:
    """The spans of the daemon and that of the server, which continues `traceparent`, are one tree.

    Also those of a request by `/probe`. The last traces are exported when the daemon stops.
    """
    with collecting() as collector, traced_model(collector, status=500) as url:
        config = {
            "probes": [{"name": "model", "url": url, "interval": "500ms"}],
            "tracing": {"sample": "failures"},
        }
        (tmp_path / "probe.yml").write_text(yaml.safe_dump(config))
        flags = (
            f"--config.file={tmp_path / 'probe.yml'}",
            f"--otlp.traces-endpoint={collector.url}",
        )
        with running(*flags) as daemon:
            daemon.wait_for("inference_probe_runs_total", 2)
            on_demand = daemon.get("/probe?name=model").json()["trace_id"]
            results = daemon.get("/api/v1/probes/model/results").json()["recent"]
            assert daemon.total("inference_probe_lost_traces_total") == 0
            assert daemon.terminate() == 0
        traces: dict[str, dict[str, Any]] = {}
        for span in collector.spans:
            traces.setdefault(span["traceId"], {})[span["spanId"]] = span
    assert {result["trace_id"] for result in results} | {on_demand} <= traces.keys()
    for spans in traces.values():
        roots = [span for span in spans.values() if span.get("parentSpanId") not in spans]
        assert [root["name"] for root in roots] == ["probe model"]
        server = next(span for span in spans.values() if span["name"] == "predict")
        assert spans[server["parentSpanId"]]["name"] == "GET"


def _exemplars(prometheus: str) -> dict[str, Any]:
    """Return a series with exemplars of each probe, when both have some."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    found: dict[str, Any] = {}
    while len(found) < 2:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
        now = time.time()
        response = http.get_json(
            f"{prometheus}/api/v1/query_exemplars",
            query="inference_probe_latency_seconds_bucket",
            start=str(now - 300),
            end=str(now),
        )
        found = {series["seriesLabels"]["probe"]: series for series in response["data"]}
    return found
