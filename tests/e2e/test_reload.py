"""A config that changes under the eyes of Prometheus."""

import signal
from typing import Any

import pytest
import yaml

from probe.demo import files, http
from probe.demo.stack import Binaries, Stack
from tests.e2e.observer import FACTOR, WINDOW, Observer

SUCCESS = "inference_probe_config_last_reload_success_timestamp_seconds"

PHANTOMS = "inference_probe:slo_bad:increase5m > 5"
"""They would be all that were ever counted, dozens; on a busy machine a few are bad in truth."""


def reload(stack: Stack, daemon: str, config: dict[str, Any]) -> None:
    """The config is in force by the time this returns."""

    def loaded() -> str:
        lines = http.get_text(f"{daemon}/metrics").splitlines()
        return next(line for line in lines if line.startswith(SUCCESS))

    before = loaded()
    (stack.directory / "probe.yml").write_text(yaml.safe_dump(config))
    (child,) = (child for child in stack.children if child.name == "daemon")
    child.process.send_signal(signal.SIGHUP)
    assert stack._wait_until(lambda: loaded() != before, timeout_seconds=10), child.failed(
        "does not reload"
    )


@pytest.mark.full
def test_a_threshold_that_moves(stack: Stack, newest_binaries: Binaries) -> None:
    """To another bucket, to a bucket of its own and back: nobody is told, and no request that was
    good becomes a bad one. The answers take 50 to 300 ms.
    """
    config = yaml.safe_load(files.probe(FACTOR, url=stack.start_model().url))
    daemon = stack.start_daemon(yaml.safe_dump(config))
    observer = Observer(stack=stack, alerting=stack.start_alerting(newest_binaries, daemon=daemon))
    observer.tells_nobody(seconds=WINDOW)
    for threshold in ("470ms", "431ms", "2s", "500ms"):
        config["probes"][0]["objectives"][0]["latency"] = threshold
        reload(stack, daemon, config)
        observer.tells_nobody(seconds=WINDOW / 2)
        assert observer.alerting.query(PHANTOMS) == []
    observer.tells_nobody(seconds=WINDOW)
    assert observer.alerting.query(PHANTOMS) == []
    assert observer.alerting.query("inference_probe:slo_good:increase5m > 5")
