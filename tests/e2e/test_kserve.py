"""MLServer, probed with config/examples/kserve-v2.yml."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from probe.demo.files import divide_durations
from probe.demo.stack import Binaries, Stack
from probe.resources import resource_path
from tests.e2e import mlserver
from tests.e2e.observer import FACTOR, WINDOW_SECONDS, Observer

pytestmark = pytest.mark.timing

EXAMPLE = resource_path("config/examples/kserve-v2.yml")


@pytest.fixture(scope="session")
def programs(pytestconfig: pytest.Config) -> Path:
    cache = pytestconfig.cache
    assert cache
    return mlserver.install(cache.mkdir("mlserver"))


def once(url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "probe", "once", f"--config.file={EXAMPLE}", "--output=json"]
    environment = os.environ | {"KSERVE_URL": url}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.full
@pytest.mark.timeout(600)  # the first run installs half a gigabyte
def test_example_succeeds(stack: Stack, programs: Path) -> None:
    """A probe with the example succeeds."""
    _, url = mlserver.serve(stack, programs)
    done = once(url)
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = json.loads(done.stdout)
    assert (result["probe"], result["success"], result["status"]) == ("iris", True, 200)
    assert result["latency_seconds"] == pytest.approx(sum(result["phases"].values()))


@pytest.mark.full
@pytest.mark.timeout(600)
def test_frozen_server(stack: Stack, programs: Path) -> None:
    """ModelDown fires for a suspended server, whose kernel still accepts connections."""
    binaries = Binaries.find()
    assert binaries, "install prometheus and alertmanager, or put them on the PATH"
    server, url = mlserver.serve(stack, programs)
    config = divide_durations(EXAMPLE.read_text(), FACTOR)
    daemon = stack.start_daemon(config, environment=os.environ | {"KSERVE_URL": url})
    observer = Observer(stack=stack, alerting=stack.start_alerting(binaries, daemon=daemon))
    observer.expect_no_alert(seconds=WINDOW_SECONDS)

    server.process.send_signal(signal.SIGSTOP)
    try:
        (down,) = observer.wait_for_alert("ModelDown", seconds=60)
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert down["probe"] == "iris"
    assert down["slo_severity"] == "page"
    observer.wait_until_resolved("ModelDown", seconds=60)
