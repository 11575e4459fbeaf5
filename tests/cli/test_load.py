"""`inference-probe load`: flags, permission, output and exit codes."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from probe.cli.load_progress import Progress
from probe.cli.main import build_parser
from probe.load.measurement import StepMeasurement
from probe.load.step import StepPlan
from tests.commands import environment, invoke, run_in_process
from tests.load.report_fixtures import step_report
from tests.servers import respond_with, serve

URL = "--url=http://127.0.0.1:1/"
# A large threshold, because a busy machine delays requests.
SLO = "--slo=95% < 5s"
START = "--start-at=2000-01-01T00:00:00Z"
SHARE = ("--share=0/1", "--rates=10", "--step-duration=10s")
CONFIG = """\
probes:
  - name: one
    url: http://127.0.0.1:1/
    objectives: [{name: fast, target: 95%, latency: 100ms}]
  - name: two
    url: http://127.0.0.1:1/
"""


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((URL,), "has no objective; write one, such as --slo="),
        ((URL, "--slo=p95 < 1s"), '--slo: not an objective; write "95% < 1s"'),
        ((URL, "--slo=95% time_to_first_token < 1s"), "needs a stream"),
        ((URL, SLO, "--rates=10,ten"), "--rates: not a rate"),
        ((URL, SLO, "--rates=0,10"), "--rates has a rate of 0"),
        ((URL, SLO, "--rates=10", "--from=5"), "--from and --rates cannot be combined"),
        ((URL, SLO, "--rates=2000"), "raise --max-rate"),
        ((URL, SLO, "--step-duration=10s"), "--step-duration needs --rates"),
        ((URL, SLO, "--max-duration=1m"), "--max-duration is less than 3m"),
        ((URL, SLO, "--expected=2000/s"), "--expected is 2000/s, and --max-rate is 1000/s"),
        ((URL, SLO, "--from=2000/s"), "--from is 2000/s, and --max-rate is 1000/s"),
        ((URL, SLO, "--report=/tmp"), "this is a directory"),
        (("--url=http://model/", SLO, "--rates=5,10"), "To send up to 10 requests per second"),
        ((URL, SLO, "--export=k6"), "--export needs --rates"),
        (("localhost:5000", SLO), "write --url=URL for an endpoint"),
        (("http://model/", SLO), "write --url=URL for an endpoint"),
        ((URL, SLO, "--errors=2"), "--errors: not a percentage; write one such as 0.1%"),
        ((URL, SLO, "--headroom=0.2"), "--headroom: not a percentage; write one such as 20%"),
        ((URL, SLO, "--errors=0%"), "--errors is 0; write more"),
        ((URL, SLO, "--expected=0/s"), "--expected is 0; write more"),
        ((URL, SLO, "--headroom=100%"), "--headroom is 100% or more"),
        ((URL, SLO, "--utilization=120%"), "--utilization is more than 100%"),
        ((URL, SLO, "--max-in-flight=many"), "--max-in-flight: not a count"),
        ((URL, SLO, "--from=-1/s"), "--from: not a rate"),
        ((URL, SLO, "--share=3/3"), "there is no share 3/3; the last one is 2/3"),
        ((URL, SLO, "--share=1"), "--share: not a share: '1'; write one such as 0/3"),
        ((URL, SLO, "--share=0/1", "--from-prometheus=http://p"), "--share sends requests"),
        ((URL, SLO, "--share=0/1"), "--share needs --rates"),
        ((URL, SLO, *SHARE, "--start-at=12:00"), "--start-at: not a time with its zone: '12:00'"),
        ((URL, SLO, *SHARE, "--start-at=2026-11-29T12:00"), "not a time with its zone"),
        ((URL, SLO, *SHARE, START), "2000-01-01T00:00:00.000Z is over"),
        ((URL, SLO, START), "--start-at needs --share"),
        ((URL, SLO, "--web.listen-address=:1"), "--web.listen-address needs --share"),
        ((URL, SLO, *SHARE, START, "--web.listen-address=x"), "not a listen address: 'x'"),
        ((URL, SLO, "--report=/does/not/exist/load.html"), "cannot write to the directory"),
        (("--url=http://model/", SLO), "model is not on this machine"),
        (("--url=http://u:secret@model:80/", SLO), "model:80 is not on this machine"),
        (("--url=http://10.0.0.1/", SLO), "add --yes"),
    ],
)
def test_usage_errors(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], message: str
) -> None:
    """Nothing is sent, and the message says what to write."""
    code, out, err = run_in_process(capsys, "load", *flags)
    assert (code, out) == (2, "")
    assert message in err
    assert "secret" not in err


def test_objective_from_the_environment(capsys: pytest.CaptureFixture[str]) -> None:
    """The variable is the default of --slo."""
    environ = {"INFERENCE_PROBE_SLO": "95% < 70ms"}
    for flags, threshold in (((), "70ms"), (("--slo=95% < 80ms",), "80ms")):
        command = ["load", URL, "--rates=10", "--export=k6", *flags]
        args = build_parser(environ).parse_args(command)
        assert args.run(args, environ) == 0
        assert f"good_within_{threshold}" in capsys.readouterr().out


def test_choice_of_the_probe(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Of several probes one has to be named; its objectives are those of the config."""
    file = tmp_path / "probe.yml"
    file.write_text(CONFIG)
    config = f"--config.file={file}"
    assert "name one of: one, two" in run_in_process(capsys, "load", config)[2]
    assert "no probe 'three'" in run_in_process(capsys, "load", config, "three")[2]
    assert "the probe two has no objective" in run_in_process(capsys, "load", config, "two")[2]
    code, out, _ = run_in_process(capsys, "load", config, "one", "--rates=10,20", "--export=k6")
    assert code == 0
    assert "good_within_100ms" in out
    _, out, _ = run_in_process(
        capsys, "load", config, "two", SLO, "--rates=10,20", "--export=locust"
    )
    assert '"95% < 5s"' in out


def test_endpoint_that_does_not_respond(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a successful single request no load is sent."""
    code, out, err = run_in_process(capsys, "load", URL, SLO)
    assert (code, out) == (1, "")
    assert "no load was sent, because a single request failed: refused, " in err


@pytest.mark.timing
def test_measurement_of_a_rate() -> None:
    """Each request of the step is in the JSON. Without a confirmation the exit code is 1.

    A full disk for the HTML report does not lose the result.
    """
    with serve(respond_with(delay=0.02)) as url:
        flags = ("--rates=40", "--step-duration=2s", "--max-requests=300", "--arrivals=uniform")
        report = "--report=/dev/full"
        done = invoke("load", f"--url={url}", SLO, *flags, "--output=json", report)
    document: dict[str, Any] = json.loads(done.stdout)
    step = document["steps"][0]
    assert done.returncode == 1
    assert (step["rate"], step["offered"], step["completed"], step["bad"]) == (40, 80, 80, 0)
    assert step["verdict"] == "met"
    assert 0.02 < step["p95"] < 0.2
    assert step["in_flight"] == pytest.approx(40 * step["phases"]["wait"], rel=0.5)
    assert document["safe_rate"] is None
    assert document["reason"] == "--max-requests was reached"
    assert "step at 40/s: 0 of 80 bad" in done.stderr
    assert "cannot write the report /dev/full: No space left on device" in done.stderr


@pytest.mark.timing
def test_interruption_prints_the_steps_until_then(tmp_path: Path) -> None:
    """SIGTERM ends the load as Ctrl-C does. What was measured is printed and in the HTML report."""
    report = tmp_path / "load.html"
    with serve(respond_with()) as url:
        flags = (f"--url={url}", SLO, "--from=50/s", "--max-rate=50/s", f"--report={report}")
        with subprocess.Popen(
            [sys.executable, "-m", "probe", "load", *flags],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                time.sleep(9)
                process.terminate()
                out, err = process.communicate(timeout=15)
            finally:
                process.kill()
    assert process.returncode == 1
    assert "No safe rate is confirmed: it was interrupted." in out
    assert "50/s" in out
    assert "No safe rate is confirmed: it was interrupted." in report.read_text()
    assert "Traceback" not in err


class Terminal(io.StringIO):
    """A terminal that keeps what was written."""

    def isatty(self) -> bool:
        return True


def test_progress() -> None:
    """A terminal has a bar that replaces itself; a file has lines about steps only."""
    plan = StepPlan(rate=50, warm_up_seconds=5, min_seconds=20, max_seconds=20)
    measurement = StepMeasurement(seconds=(), complete_until=0, in_flight=3)
    for stream, bar in ((io.StringIO(), ""), (Terminal(), "[##########..........] 50/s, 10 of")):
        progress = Progress(stream)
        progress.show_step(plan, 10, measurement)
        assert bar in stream.getvalue()
        assert bool(bar) == bool(stream.getvalue())
        progress.end_step(step_report(50))
        line = "step at 50/s: 10 of 1000 bad in 20 s, p95 90 ms: met\n"
        assert stream.getvalue().rpartition("\r")[2] == line
