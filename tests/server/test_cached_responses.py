"""A daemon that fails to please: what of the answers may be seen, and where."""

from pathlib import Path

import pytest
import yaml

from tests.commands import invoke, running
from tests.servers import answering, serving

SAID = "the model is on fire"
ANSWER = (
    b"HTTP/1.1 503 Busy\r\nX-Reason: overheated\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(SAID), SAID.encode())
)


def _config(directory: Path, url: str) -> str:
    path = directory / "probe.yml"
    probe = {
        "name": "model",
        "url": url,
        "interval": "100ms",
        "startup_grace": "0s",
        "objectives": [{"name": "up", "target": "99%"}],
    }
    path.write_text(yaml.safe_dump({"probes": [probe]}))
    return f"--config.file={path}"


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/probe?name=model", "/", "/probes/model", "/api/v1/probes/model/results"],
)
def test_nobody_sees_an_answer_without_being_known(tmp_path: Path, path: str) -> None:
    """Failures are told with their reason; what the model said is not, to an unknown reader."""
    with (
        serving(answering(ANSWER)) as url,
        running(_config(tmp_path, url)) as daemon,
    ):
        daemon.wait_for("inference_probe_runs_total", 3)
        page = daemon.get(path).text
        assert "overloaded" in page
        assert SAID not in page
        assert "overheated" not in page


def test_the_pages_count_what_the_metrics_count(tmp_path: Path) -> None:
    """An objective has as many bad events on the page as failures are in the metrics."""
    with (
        serving(answering(ANSWER)) as url,
        running(_config(tmp_path, url)) as daemon,
    ):
        daemon.wait_for("inference_probe_runs_total", 3)
        before = daemon.total("inference_probe_failures_total")
        (probe,) = daemon.get("/api/v1/probes").json()["probes"]
        after = daemon.total("inference_probe_failures_total")
        counted = probe["objectives"][0]["windows"]["kept"]
        assert before <= counted["bad"] <= after
        assert counted["good"] == 0


def test_once_does_not_print_the_answer(tmp_path: Path) -> None:
    """The fields of a result on the command line are those of `/probe`."""
    with serving(answering(ANSWER)) as url:
        printed = invoke("once", _config(tmp_path, url), "--output=json").stdout
    assert "overloaded" in printed
    assert SAID not in printed
