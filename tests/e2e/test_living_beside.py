"""A sidecar's life: its model starts after it, and its pod is deleted some day."""

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
from probe.demo.process import ChildProcess
from probe.demo.stack import HOST, Binaries, Stack, free_port
from tests.commands import running
from tests.e2e.observer import FACTOR, WINDOW, Observer
from tests.servers import hanging, serving

LIFECYCLE = {**os.environ, "INFERENCE_PROBE_WEB_ENABLE_LIFECYCLE": "true"}


@pytest.mark.full
def test_a_model_that_loads_for_minutes(stack: Stack, newest_binaries: Binaries) -> None:
    """Nobody is told while it loads, nor when it is there."""
    model = stack.start_model()
    model.set_fault(Fault.DOWN)
    config = yaml.safe_load(files.probe(FACTOR, url=model.url))
    config["probes"][0]["startup_grace"] = "60s"
    daemon = stack.start_daemon(yaml.safe_dump(config))
    observer = Observer(stack=stack, alerting=stack.start_alerting(newest_binaries, daemon=daemon))
    observer.tells_nobody(seconds=2 * WINDOW)
    assert observer.alerting.query('inference_probe_failures_total{reason="startup"} > 20')
    model.set_fault(None)
    observer.tells_nobody(seconds=WINDOW)
    assert observer.alerting.query("inference_probe:slo_good:increase5m > 5")
    assert observer.alerting.query("inference_probe:slo_bad:increase5m > 5") == []


@pytest.mark.full
def test_a_pod_that_is_deleted(stack: Stack, newest_binaries: Binaries) -> None:
    """Its preStop hook pauses the daemon, the model goes, SIGTERM comes, the target is gone: nobody
    is told. Another replica lives on.
    """
    models = stack.start_model(), stack.start_model()
    stays = stack.start_daemon(files.probe(FACTOR, url=models[0].url))
    goes, pod = start(stack, files.probe(FACTOR, url=models[1].url))
    alerting = stack.start_alerting(newest_binaries, daemon=stays)
    targets(stack, stays, goes)
    observer = Observer(stack=stack, alerting=alerting)
    assert stack._wait_until(lambda: len(alerting.query("inference_probe:slo_good:increase5m")) > 0)
    observer.tells_nobody(seconds=WINDOW)
    assert len(alerting.query("up == 1")) == 2

    with urlopen(Request(f"{goes}/-/pause", method="POST")) as answer:
        assert answer.status == 200
    models[1].set_fault(Fault.DOWN)
    observer.tells_nobody(seconds=WINDOW / 2)
    assert alerting.query('inference_probe_suspended{reason="paused"} == 1')
    stack.children.remove(pod)
    pod.process.send_signal(signal.SIGTERM)
    assert pod.process.wait(15) == 0
    targets(stack, stays)
    observer.tells_nobody(seconds=2 * WINDOW)
    assert alerting.query("inference_probe:slo_bad:increase5m > 5") == []


def start(stack: Stack, config: str) -> tuple[str, ChildProcess]:
    """A second daemon, whose lifecycle can be asked for; its URL."""
    path = Path(stack.directory, "pod.yml")
    path.write_text(config)
    address = f"{HOST}:{free_port()}"
    command = [
        *(sys.executable, "-m", "probe", "run"),
        *(f"--config.file={path}", f"--web.listen-address={address}"),
    ]
    url = f"http://{address}"
    return url, stack.start("pod", command, ready_url=f"{url}/-/ready", environment=LIFECYCLE)


def targets(stack: Stack, *daemons: str) -> None:
    """From now on Prometheus scrapes these."""
    path = stack.directory / "prometheus.yml"
    config = yaml.safe_load(path.read_text())
    addresses = [daemon.removeprefix("http://") for daemon in daemons]
    config["scrape_configs"][0]["static_configs"] = [{"targets": addresses}]
    path.write_text(yaml.safe_dump(config))
    (prometheus,) = (child for child in stack.children if child.name == "prometheus")
    prometheus.process.send_signal(signal.SIGHUP)


@pytest.mark.full
def test_a_drain_has_an_end(tmp_path: Path) -> None:
    """An endpoint that hangs for half a minute is given up after 7.5 s; until then scrapes are
    answered, the grid stands still, and the daemon is ready and healthy.
    """
    config = tmp_path / "probe.yml"
    with serving(hanging) as url:
        probe = {"name": "m", "url": url, "interval": "500ms", "timeout": "30s"}
        config.write_text(yaml.safe_dump({"probes": [probe]}))
        with running(f"--config.file={config}") as daemon:
            daemon.wait_for("inference_probe_in_flight", 3)
            daemon.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            time.sleep(0.5)
            ticks = daemon.total("inference_probe_ticks_total")
            while time.monotonic() < began + 6:
                assert daemon.total("inference_probe_in_flight") >= 2  # one may not have started
                assert daemon.total("inference_probe_ticks_total") == ticks
                assert daemon.get("/-/ready").status_code == 200
                assert daemon.get("/-/healthy").status_code == 200
                time.sleep(1)
            try:
                assert daemon.process.wait(8) == 0
            except subprocess.TimeoutExpired:
                pytest.fail("it does not end")
            assert 7 < time.monotonic() - began < 10
