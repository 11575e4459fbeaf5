"""The command `inference-probe demo` as a process."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from probe.demo import http

pytestmark = pytest.mark.timing


@contextmanager
def demo(
    *arguments: str, directory: Path, path: str | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run the demo with its temporary files in `directory`."""
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
def test_fault(tmp_path: Path) -> None:
    """The demo exits with 0 after the alert has fired and resolved, and leaves no files."""
    arguments = ("--fault=down", "--fault-for=20s", "--fast")
    with demo(*arguments, directory=tmp_path) as process:
        output, _ = process.communicate(timeout=150)
    assert process.returncode == 0, output
    happened = output.partition("No alert fired while the model was healthy.")[2]
    assert "page ModelDown (sentiment): firing, arrived in Alertmanager" in happened, output
    inhibited = "firing, inhibited in Alertmanager"
    assert f"page ModelObjectiveMissed (sentiment fast): {inhibited}" in happened, output
    assert re.search(r"page ModelDown \(sentiment\): .*; resolved, \d+ s after", happened), output
    assert "pending" not in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.full
def test_fault_of_streams(tmp_path: Path) -> None:
    """With --model=llm the demo prints times to the first token, and faults of streams alert."""
    arguments = ("--model=llm", "--fault=stall", "--fault-for=20s", "--fast")
    output = ""
    with demo(*arguments, directory=tmp_path) as process:
        assert process.stdout
        for line in process.stdout:
            output += line
            if "page ModelDown (chat): firing, arrived in Alertmanager" in line:
                break
    assert "curl -X PUT --data slow-first-token http://" in output
    assert re.search(r"/probe\?name=chat$", output, re.MULTILINE)
    assert re.search(r"time to first token  p50 .* under 500 ms \(objective 99%\)", output)
    assert "the model is now: every stream stops after its third token, for 20s" in output
    assert "page ModelDown (chat): firing, arrived in Alertmanager" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    """Without Prometheus the demo shows metrics. Ctrl-C and SIGTERM stop all processes."""
    with demo(directory=tmp_path, path=str(tmp_path)) as process:
        assert process.stdout
        output = "".join(iter(process.stdout.readline, "\n"))
        (metrics,) = re.findall(r"http://\S+/metrics", output)
        assert 'inference_probe_runs_total{probe="sentiment"}' in http.get_text(metrics)
        process.send_signal(number)
        rest, _ = process.communicate(timeout=30)
    assert "Prometheus or Alertmanager is not on the PATH" in output
    assert process.returncode == 0, rest
    assert not http.is_ok(metrics)
    assert list(tmp_path.iterdir()) == []


def test_part_that_cannot_start(tmp_path: Path) -> None:
    """If a process does not start, the demo exits with 1, prints its log and keeps the file."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("prometheus", "alertmanager"):
        program = programs / name
        program.write_text("#!/bin/sh\necho out of order\nexit 3\n")
        program.chmod(0o755)
    with demo(directory=tmp_path, path=str(programs)) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    log = re.search(r"alertmanager exited with code 3. The end of its log (\S+):", output)
    assert log, output
    assert "out of order" in Path(log[1]).read_text()
    assert "Traceback" not in output


def test_batches(tmp_path: Path) -> None:
    """With --model=batching the demo passes the flags about batches on, and prints them."""
    arguments = ("--model=batching", "--max-batch-size=1")
    with demo(*arguments, directory=tmp_path, path=str(tmp_path)) as process:
        assert process.stdout
        output = "".join(iter(process.stdout.readline, "\n"))
        (url,) = re.findall(r"POST (http://\S+/predict)", output)
        response = requests.post(url, json={"data": "sample_input"}, timeout=5)
        (load,) = re.findall(r"load test +inference-probe (load .*)", output)
        command = [sys.executable, "-m", "probe", *shlex.split(load), "--rates=20", "--export=k6"]
        script = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "  batches       none: each request takes 10ms, one after the other" in output
    assert (
        response.headers["Server-Timing"] == 'queue;dur=0.000, compute;dur=10.000, batch;desc="1"'
    )
    assert (script.returncode, script.stderr) == (0, "")
    assert url in script.stdout
