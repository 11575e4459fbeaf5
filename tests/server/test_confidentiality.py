"""Responses of a failing model are not visible to remote clients without authentication."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.commands import Running, invoke, running
from tests.servers import respond_with, serve

BODY = "the model is on fire"
RESPONSE = (
    b"HTTP/1.1 503 Busy\r\nX-Reason: overheated\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY.encode())
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


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("daemon")
    with serve(respond_with(RESPONSE)) as url, running(_config(directory, url)) as daemon:
        daemon.wait_for("inference_probe_runs_total", 3)
        yield daemon


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/probe?name=model", "/", "/probes/model", "/api/v1/probes/model/results"],
)
def test_responses_need_authentication(daemon: Running, path: str) -> None:
    """A remote client without a user sees the reason of a failure, and nothing of the response."""
    page = daemon.get(path, headers={"Host": "probe.example"}).text
    assert "overloaded" in page
    assert BODY not in page
    assert "overheated" not in page


def test_page_and_metrics_agree(daemon: Running) -> None:
    """The page counts as many bad events of an objective as the metrics count failures."""
    before = daemon.total("inference_probe_failures_total")
    (probe,) = daemon.get("/api/v1/probes").json()["probes"]
    after = daemon.total("inference_probe_failures_total")
    counts = probe["objectives"][0]["windows"]["kept"]
    assert before <= counts["bad"] <= after
    assert counts["good"] == 0


def test_once_does_not_print_the_response(tmp_path: Path) -> None:
    """The fields of a result on the command line are those of `/probe`."""
    with serve(respond_with(RESPONSE)) as url:
        output = invoke("once", _config(tmp_path, url), "--output=json").stdout
    assert "overloaded" in output
    assert BODY not in output
