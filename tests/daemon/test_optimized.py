"""The daemon without docstrings and assertions, as in the image."""

import sys

import pytest

from tests.commands import running


@pytest.mark.full  # all modules of three processes are compiled
def test_without_docstrings_and_assertions() -> None:
    """It starts, compiles its templates, and serves pages and metrics."""
    command = (sys.executable, "-OO", "-m", "probe")
    with running("--url=http://127.0.0.1:9/", "--name=model", command=command) as daemon:
        assert "model" in daemon.get("/").text
        assert "Objectives" in daemon.get("/probes/model").text
        assert 'inference_probe_ticks_total{probe="model"}' in daemon.get("/metrics").text
        assert "level=error" not in daemon.log()
