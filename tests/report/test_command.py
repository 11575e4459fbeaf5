"""`inference-probe report` as its users run it."""

import json
import re
import subprocess

import pytest

from tests.commands import invoke
from tests.report.conftest import History

HOUR = 3600.0


def report(history: History, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return invoke("report", f"--prometheus.url={history.url}", *arguments)


def test_json(history: History) -> None:
    """The document has the counts, the coverage and what the report depends on."""
    done = report(history, "--last=32h", "--probe=chat", "--format=json", "--previous")
    assert done.returncode == 1, done.stderr
    document = json.loads(done.stdout)
    latency, availability = document["objectives"]
    assert latency["total"] == latency["good"] + latency["bad"]
    assert latency["attainment"] == latency["good"] / latency["total"]
    lower, upper = latency["interval"]
    assert lower < latency["attainment"] < upper
    assert (latency["threshold_seconds"], availability["threshold_seconds"]) == (0.5, None)
    assert latency["budget"]["used"] == latency["bad"]
    assert [incident["seconds"] for incident in latency["incidents"]] == pytest.approx(
        [1800, 1800, 720], abs=180
    )
    assert latency["incidents"][0]["pages"][0]["alert"] == "ModelDown"
    assert latency["worst_hours"][0]["bad"] >= latency["worst_hours"][1]["bad"] > 0
    assert latency["previous"]["attainment"] > latency["attainment"]
    (coverage,) = document["coverage"]
    assert coverage["run"] + sum(coverage["skipped"].values()) == coverage["due"]
    assert len(coverage["replicas"]) == 2
    assert [item["time"] for item in document["times"]] == ["latency", "wait"]
    (comparisons,) = document["phase_comparisons"]
    assert comparisons["days_without_mean"] == [2, 3, 28]
    (wait,) = comparisons["phases"]
    # The history has one day before the last hour, in which the latencies were the same.
    assert wait["usual"]["mean"] == pytest.approx(wait["mean"], rel=0.1)
    assert wait["usual"]["ratio"] == pytest.approx(wait["mean"] / wait["usual"]["mean"])
    assert (wait["usual"]["slower"], wait["four_weeks_ago"]) == (False, None)
    assert coverage["first_scrape"] > document["period"]["from"]
    provenance = document["provenance"]
    assert provenance["probes"][0]["daemon_versions"] == ["1.0"]
    assert re.fullmatch("[0-9a-f]{16}", provenance["probes"][0]["config_hash"])
    assert provenance["rules_hash"] is None


def test_markdown(history: History) -> None:
    """The default is Markdown, with the probes in the order of their names."""
    done = report(history, "--last=32h")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("# SLA report, last 32h: missed\n")
    assert "- 2 of 3 objectives: missed." in done.stdout
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len({len(row) for row in rows[:5]}) == 1
    assert [row[0] for row in rows[2:5]] == ["| chat ", "| chat ", "| quiet"]
    assert "ModelDown" in done.stdout
    assert "Attainment if they had been bad" in done.stdout
    assert "chat: no phase is slower than earlier." in done.stdout
    assert "chat: the same hour 2 days, 3 days and 4 weeks before has less" in done.stdout


def test_html(history: History) -> None:
    """The HTML report goes to stdout, too."""
    done = report(history, "--last=32h", "--probe=quiet", "--format=html")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("<!doctype html>")
    assert done.stdout.endswith("</html>\n")


def test_met(history: History) -> None:
    """The exit code is 0 if all objectives are met."""
    done = report(history, "--last=32h", "--probe=quiet")
    assert done.returncode == 0, done.stderr
    assert "met" in done.stdout
    assert "100.00 %" in done.stdout


def test_not_enough_data(history: History) -> None:
    """Time before the first data is not good time: the exit code is 3, and the report says why."""
    done = report(history, "--last=30d", "--probe=quiet")
    assert done.returncode == 3
    assert re.search(
        r"the first data is of .*, so the report covers 1\.7 of 30\.0 days", done.stdout
    )
    assert "Not enough data: 5 % of the expected events were measured" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "write the period of the report: --period=YYYY-MM, or --last=30d"),
        (("--period=11/2026",), "--period: not a month: '11/2026'; write one such as 2026-11"),
        (("--last=1m",), "--last: 1m is too short"),
        (("--last=",), '--last: not a duration: ""'),
        (("--period=2026-01", "--last=1d"), "not allowed with argument"),
        (("--last=32h", "--probe=chet"), "no data of a probe 'chet' in this period; there are: ch"),
        (("--last=32h", "--selector=job=x"), "with these labels in this period; there are: --sel"),
        (("--last=32h", "--selector=job"), "--selector: not a label with a value: 'job'"),
        (("--last=32h", "--format=html5"), "expected one of"),
    ],
)
def test_usage(history: History, arguments: tuple[str, ...], message: str) -> None:
    """Bad usage is exit code 2, with what to write."""
    done = report(history, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_no_data(history: History) -> None:
    """Without data, or without a server, the exit code is not that of a missed objective."""
    empty = report(history, "--period=2001-01")
    assert empty.returncode == 3
    assert "has no data of inference-probe in this period" in empty.stderr
    refused = invoke("report", "--prometheus.url=http://127.0.0.1:1", "--last=1d")
    assert refused.returncode == 3
    assert "cannot be reached: Connection refused" in refused.stderr
