"""A reload while Prometheus scrapes the daemon."""

import signal
from typing import Any

import pytest
import yaml

from probe.demo import files, http
from probe.demo.stack import Binaries, Stack
from tests.e2e.observer import FACTOR, WINDOW_SECONDS, Observer

pytestmark = pytest.mark.timing

SUCCESS = "inference_probe_config_last_reload_success_timestamp_seconds"

# A threshold that moves must not turn the good requests of the past into bad ones, which would be
# dozens. On a busy machine a few requests are really bad.
FALSE_BAD_REQUESTS = "inference_probe:slo_bad:increase5m > 5"


def reload(stack: Stack, daemon: str, config: dict[str, Any]) -> None:
    """Replace the config and wait until the daemon has loaded it."""

    def last_success() -> str:
        lines = http.get_text(f"{daemon}/metrics").splitlines()
        return next(line for line in lines if line.startswith(SUCCESS))

    before = last_success()
    (stack.directory / "probe.yml").write_text(yaml.safe_dump(config))
    (child,) = (child for child in stack.children if child.name == "daemon")
    child.process.send_signal(signal.SIGHUP)
    assert stack._wait_until(lambda: last_success() != before, timeout_seconds=10), child.failed(
        "does not reload"
    )


@pytest.mark.full
def test_changed_threshold(stack: Stack, newest_binaries: Binaries) -> None:
    """A threshold that changes causes no alert and no false bad requests.

    The responses take 50 to 300 ms, which is below each of the thresholds.
    """
    config = yaml.safe_load(files.probe(FACTOR, url=stack.start_model().url))
    daemon = stack.start_daemon(yaml.safe_dump(config))
    observer = Observer(stack=stack, alerting=stack.start_alerting(newest_binaries, daemon=daemon))
    observer.expect_no_alert(seconds=WINDOW_SECONDS)
    for threshold in ("470ms", "431ms", "2s", "500ms"):
        config["probes"][0]["objectives"][0]["latency"] = threshold
        reload(stack, daemon, config)
        observer.expect_no_alert(seconds=WINDOW_SECONDS / 2)
        assert observer.alerting.query(FALSE_BAD_REQUESTS) == []
    observer.expect_no_alert(seconds=WINDOW_SECONDS)
    assert observer.alerting.query(FALSE_BAD_REQUESTS) == []
    assert observer.alerting.query("inference_probe:slo_good:increase5m > 5")
