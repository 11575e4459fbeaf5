"""The budget of a probe in a running daemon."""

from pathlib import Path

import pytest
import requests
import yaml

from tests.commands import Running, running
from tests.servers import respond_with, serve

pytestmark = pytest.mark.timing

BODY = b'{"usage": {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}}'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
PRICE = {"input": 0.5, "output": 2, "per": 10, "currency": "EUR"}  # 1.1 for one response


def write(path: Path, url: str, tokens_per_day: int) -> None:
    probe = {
        "name": "m",
        "url": url,
        "interval": "100ms",
        "json": {"prompt": "x" * 24, "max_tokens": 4},
        "price": PRICE,
        "budget": {"tokens_per_day": tokens_per_day},
    }
    path.write_text(yaml.safe_dump({"probes": [probe]}))


def value(daemon: Running, series: str) -> float:
    """Return the value of one series, such as `suspended{probe="m",reason="budget"}`."""
    lines = daemon.get("/metrics").text.splitlines()
    (line,) = (line for line in lines if line.startswith(f"inference_probe_{series} "))
    return float(line.rpartition(" ")[2])


def test_budget_of_a_daemon(tmp_path: Path) -> None:
    """Requests on demand count, a reload keeps the window, and the accounting is complete."""
    path = tmp_path / "probe.yml"
    with serve(respond_with(OK)) as url:
        write(path, url, 30)
        with running(f"--config.file={path}", "--web.enable-lifecycle") as daemon:
            daemon.wait_for("inference_probe_skipped_total", 5)
            assert daemon.total("inference_probe_runs_total") == 3
            assert value(daemon, 'suspended{probe="m",reason="budget"}') == 1
            assert value(daemon, 'cost_total{probe="m",currency="EUR"}') == pytest.approx(3.3)
            assert value(daemon, 'estimated_usage_total{probe="m"}') == 0
            assert value(daemon, 'budget_used_ratio{probe="m",budget="tokens_per_day"}') == 1
            (probe,) = daemon.get("/api/v1/probes").json()["probes"]
            limit = {"name": "tokens_per_day", "used": 30, "limit": 30}
            assert probe["state"] == "over_budget"
            assert probe["budget"] == {"exhausted": True, "limits": [limit]}
            refused = daemon.get("/probe?name=m")
            assert (refused.status_code, "budget of m is exhausted" in refused.text) == (429, True)

            write(path, url, 60)
            requests.post(f"{daemon.url}/-/reload", timeout=10).raise_for_status()
            daemon.wait_for("inference_probe_runs_total", 6)
            skipped = daemon.total("inference_probe_skipped_total")
            daemon.wait_for("inference_probe_skipped_total", skipped + 3)
            assert daemon.total("inference_probe_runs_total") == 6
            assert value(daemon, 'cost_total{probe="m",currency="EUR"}') == pytest.approx(6.6)

            write(path, url, 10_000)
            requests.post(f"{daemon.url}/-/reload", timeout=10).raise_for_status()
            daemon.wait_for("inference_probe_runs_total", 8)
            assert value(daemon, 'suspended{probe="m",reason="budget"}') == 0
            spending = daemon.get("/probe?name=m").json()["spending"]
            assert spending == {
                "input": 6,
                "output": 4,
                "cached": 0,
                "estimated": False,
                "cost": 1.1,
                "currency": "EUR",
            }
            runs = value(daemon, 'runs_total{probe="m"}')
            assert value(daemon, 'cost_total{probe="m",currency="EUR"}') > 1.1 * runs
