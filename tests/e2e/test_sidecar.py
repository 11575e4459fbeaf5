"""The life of a sidecar: the model starts later, and the pod is deleted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml

from probe.demo import files
from probe.demo.fault import Fault
from probe.demo.stack import HOST, Binaries, ChildProcess, Stack, free_port
from tests.commands import running
from tests.e2e.observer import FACTOR, WINDOW_SECONDS, Observer
from tests.servers import never_respond, serve

pytestmark = pytest.mark.timing

LIFECYCLE = {**os.environ, "INFERENCE_PROBE_WEB_ENABLE_LIFECYCLE": "true"}


@pytest.mark.full
def test_model_that_loads_slowly(stack: Stack, newest_binaries: Binaries) -> None:
    """No alert fires while a model loads within `startup_grace`, nor afterwards."""
    model = stack.start_model()
    model.set_fault(Fault.DOWN)
    config = yaml.safe_load(files.probe(FACTOR, url=model.url))
    config["probes"][0]["startup_grace"] = "60s"
    daemon = stack.start_daemon(yaml.safe_dump(config))
    observer = Observer(stack=stack, alerting=stack.start_alerting(newest_binaries, daemon=daemon))
    observer.expect_no_alert(seconds=2 * WINDOW_SECONDS)
    assert observer.alerting.query('inference_probe_failures_total{reason="startup"} > 20')
    model.set_fault(None)
    observer.expect_no_alert(seconds=WINDOW_SECONDS)
    assert observer.alerting.query("inference_probe:slo_good:increase5m > 5")
    assert observer.alerting.query("inference_probe:slo_bad:increase5m > 5") == []


@pytest.mark.full
def test_deleted_pod(stack: Stack, newest_binaries: Binaries) -> None:
    """No alert fires when a pod is deleted and another replica stays.

    The preStop hook pauses the daemon, the model stops, the daemon gets SIGTERM, and the target
    disappears.
    """
    models = stack.start_model(), stack.start_model()
    remaining = stack.start_daemon(files.probe(FACTOR, url=models[0].url))
    deleted, pod = start(stack, files.probe(FACTOR, url=models[1].url))
    alerting = stack.start_alerting(newest_binaries, daemon=remaining)
    set_targets(stack, remaining, deleted)
    observer = Observer(stack=stack, alerting=alerting)
    assert stack._wait_until(lambda: len(alerting.query("inference_probe:slo_good:increase5m")) > 0)
    observer.expect_no_alert(seconds=WINDOW_SECONDS)
    assert len(alerting.query("up == 1")) == 2

    with urlopen(Request(f"{deleted}/-/pause", method="POST")) as response:
        assert response.status == 200
    models[1].set_fault(Fault.DOWN)
    observer.expect_no_alert(seconds=WINDOW_SECONDS / 2)
    assert alerting.query('inference_probe_suspended{reason="paused"} == 1')
    stack.children.remove(pod)
    pod.process.send_signal(signal.SIGTERM)
    assert pod.process.wait(15) == 0
    set_targets(stack, remaining)
    observer.expect_no_alert(seconds=2 * WINDOW_SECONDS)
    assert alerting.query("inference_probe:slo_bad:increase5m > 5") == []


def start(stack: Stack, config: str) -> tuple[str, ChildProcess]:
    """Start a second daemon with --web.enable-lifecycle, and return its URL and process."""
    path = Path(stack.directory, "pod.yml")
    path.write_text(config)
    address = f"{HOST}:{free_port()}"
    command = [
        *(sys.executable, "-m", "probe", "run"),
        *(f"--config.file={path}", f"--web.listen-address={address}"),
    ]
    url = f"http://{address}"
    return url, stack.start("pod", command, ready_url=f"{url}/-/ready", environment=LIFECYCLE)


def set_targets(stack: Stack, *daemons: str) -> None:
    """Make Prometheus scrape `daemons`."""
    path = stack.directory / "prometheus.yml"
    config = yaml.safe_load(path.read_text())
    addresses = [daemon.removeprefix("http://") for daemon in daemons]
    config["scrape_configs"][0]["static_configs"] = [{"targets": addresses}]
    path.write_text(yaml.safe_dump(config))
    (prometheus,) = (child for child in stack.children if child.name == "prometheus")
    prometheus.process.send_signal(signal.SIGHUP)


@pytest.mark.full
def test_drain_timeout(tmp_path: Path) -> None:
    """The drain waits at most 7.5 s for an endpoint that hangs.

    Until then the daemon serves scrapes, is ready and healthy, and counts no more ticks.
    """
    config = tmp_path / "probe.yml"
    with serve(never_respond) as url:
        probe = {"name": "m", "url": url, "interval": "500ms", "timeout": "30s"}
        config.write_text(yaml.safe_dump({"probes": [probe]}))
        with running(f"--config.file={config}") as daemon:
            daemon.wait_for("inference_probe_in_flight", 3)
            daemon.process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            time.sleep(0.5)
            ticks = daemon.total("inference_probe_ticks_total")
            while time.monotonic() < started + 6:
                # The last of the three may not have started.
                assert daemon.total("inference_probe_in_flight") >= 2
                assert daemon.total("inference_probe_ticks_total") == ticks
                assert daemon.get("/-/ready").status_code == 200
                assert daemon.get("/-/healthy").status_code == 200
                time.sleep(1)
            try:
                assert daemon.process.wait(8) == 0
            except subprocess.TimeoutExpired:
                pytest.fail("the daemon does not stop")
            assert 7 < time.monotonic() - started < 10
