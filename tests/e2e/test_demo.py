"""The command `inference-probe demo`, as somebody who tries it sees it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from probe.demo import http


@contextmanager
def demo(
    *arguments: str, directory: Path, path: str | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Its temporary files go to `directory`."""
    command = [sys.executable, "-m", "probe", "demo", *arguments]
    environment = os.environ | {"TMPDIR": str(directory)}
    process = subprocess.Popen(
        command,
        env=environment | ({} if path is None else {"PATH": path}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.mark.full
def test_fault_that_comes_and_goes(tmp_path: Path) -> None:
    """Exit code 0 when the alert has arrived and resolved; it tells so, and leaves nothing."""
    arguments = ("--fault=down", "--fault-for=20s", "--fast")
    with demo(*arguments, directory=tmp_path) as process:
        said, _ = process.communicate(timeout=150)
    assert process.returncode == 0, said
    happened = said.partition("Nothing fired while the model was healthy.")[2]
    assert "page ModelDown (sentiment): firing, arrived in Alertmanager" in happened, said
    inhibited = "firing, arrived in Alertmanager, kept back under another alert"
    assert f"page ModelObjectiveMissed (sentiment fast): {inhibited}" in happened, said
    assert "page ModelDown (sentiment): resolved" in happened, said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    """Without Prometheus it says so and shows the daemon's metrics; Ctrl-C and SIGTERM end all of
    it with exit code 0.
    """
    with demo(directory=tmp_path, path=str(tmp_path)) as process:
        assert process.stdout
        said = "".join(iter(process.stdout.readline, "\n"))
        (metrics,) = re.findall(r"http://\S+/metrics", said)
        assert 'inference_probe_runs_total{probe="sentiment"}' in http.text(metrics)
        process.send_signal(number)
        rest, _ = process.communicate(timeout=30)
    assert "There is no prometheus, or no alertmanager, on the PATH" in said
    assert process.returncode == 0, rest
    assert not http.answers(metrics)
    assert list(tmp_path.iterdir()) == []


def test_part_that_cannot_start(tmp_path: Path) -> None:
    """Exit code 1, the words of the part that failed, and its log to be looked at."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("prometheus", "alertmanager"):
        program = programs / name
        program.write_text("#!/bin/sh\necho out of order\nexit 3\n")
        program.chmod(0o755)
    with demo(directory=tmp_path, path=str(programs)) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    log = re.search(r"alertmanager ended by itself with exit code 3. It said, in (\S+):", said)
    assert log, said
    assert "out of order" in Path(log[1]).read_text()
    assert "Traceback" not in said
