"""`inference-probe compare`: flags, permission, measurements, output and exit codes."""

import asyncio
import itertools
import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from probe.cli.compare_now import ResultsBySide
from probe.cli.compare_sides import SideArgument
from probe.result import Reason
from tests.builders import make_result
from tests.commands import COMMAND, environment, invoke, run_in_process
from tests.servers import OK, Handler, respond_with, serve

ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
PROMETHEUS = "--prometheus.url=http://127.0.0.1:1"
REMOTE = "http://model.example/"


def write_config(directory: Path, urls: Mapping[str, str], **keys: Any) -> str:
    """Write a config with a probe for each of `urls`, and return its flag."""
    file = directory / "probe.yml"
    probes = [{"name": name, "url": url, **keys} for name, url in urls.items()]
    file.write_text(yaml.safe_dump({"probes": probes}))
    return f"--config.file={file}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "b"), "write --now to send requests to A and B, or --prometheus.url to compare"),
        (("a", "a", "--now"), "A and B are both 'a'; name two sides"),
        (("a@", "b", "--now"), "not a side of a comparison: 'a@'; write NAME, NAME@version=V"),
        (("a", "b@2026-13", PROMETHEUS), "b@2026-13: not a month: '2026-13'; write one such as"),
        (("@2026-10", "b", "--now"), "not a side of a comparison: '@2026-10'"),
        (("a@version=", "b", "--now"), "not a side of a comparison: 'a@version='"),
        (("a", "a@version=1", "--now"), "the requests of the probe a have no version; write in"),
        (("a", "a@payload=x", "--now"), "write in {config}: payloads: [{{name: short, json: "),
        (("a", "b@model=1", "--now"), "not a side of a comparison: 'b@model=1'"),
        (("a", "b@2026-10", "--now"), "b@2026-10 needs recorded requests"),
        (("a", "b", "--now", "--last=1h"), "--last is about recorded requests; omit it"),
        (("a", "b", "--now", PROMETHEUS), "--prometheus.url is about recorded requests; omit it"),
        (("a", "b", "--now", "--selector=job=x"), "--selector is about recorded requests; omit it"),
        (
            ("a", "b", PROMETHEUS, "--selector=pod=x"),
            "'pod=x'; write LABEL=VALUE, such as job=probes",
        ),
        (
            ("a", "b", PROMETHEUS, "--selector=job=x", "--selector=job=y"),
            "--selector has two values of job",
        ),
        (("a", "b", PROMETHEUS, "--rate=5"), "--rate is about requests that are sent; add --now"),
        (("a", "b", PROMETHEUS, "--last=x"), "--last: not a duration"),
        (("a", "b@2999-01", PROMETHEUS), "b@2999-01: 2999-01 has not begun (UTC)"),
        (("a", "c", "--now"), "no probe 'c' in"),
        (("a", "b", "--now", "--requests=0"), "--requests is 0; write more"),
        (("a", "b", "--now", "--requests=x"), "--requests: not a count"),
        (("a", "b", "--now", "--rate=1000/s"), "--rate is more than 100/s; write less"),
        (("a", "b", "--now", "--margin=5"), "--margin: not a percentage; write one such as 5%"),
        (("a", "b", "--now", "--margin=25%"), "--margin is 25% or more; write less"),
        (("a", "b", "--now", "--margin=0%"), "--margin is 0; write more"),
        (("a", "b", "--now", "--bad-margin=100%"), "--bad-margin is 100% or more; write less"),
        (
            ("a", "b", "--now"),
            "model.example is not on this machine. --requests and --rate limit the load.",
        ),
        (
            ("a", "b", "--now", "--requests=20", "--rate=5"),
            "To send 40 requests at up to 5 per second, add --yes",
        ),
    ],
)
def test_usage_errors(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    """Nothing is sent, and the message says what to write."""
    config = write_config(tmp_path, {"a": REMOTE, "b": REMOTE})
    code, out, err = run_in_process(capsys, "compare", *arguments, config)
    assert (code, out) == (2, "")
    assert message.format(config=tmp_path / "probe.yml") in err


def compare(directory: Path, urls: Mapping[str, str], *flags: str) -> tuple[int, dict[str, Any]]:
    """Return exit code and JSON of a comparison of the probes `a` and `b`."""
    config = write_config(directory, urls)
    done = invoke("compare", "a", "b", "--now", config, "--rate=100/s", "--output=json", *flags)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.timing
def test_slower_probe(tmp_path: Path) -> None:
    """A model that takes twice as long is worse, and in the other direction better."""
    with serve(respond_with(delay=0.03)) as fast, serve(respond_with(delay=0.06)) as slow:
        code, document = compare(tmp_path, {"a": fast, "b": slow}, "--requests=60")
        reverse = {"a": slow, "b": fast}
        wide = ("--requests=60", "--margin=20%", "--bad-margin=20%")
        other_code, other = compare(tmp_path, reverse, *wide)
    assert (code, document["verdict"]) == (1, "worse")
    assert document["a"] == {"name": "a", "requests": 60, "bad": 0, "reasons": {}}
    bad, p50, p95, p99 = document["differences"]
    assert [item["verdict"] for item in (bad, p50)] == ["not_enough_data", "worse"]
    assert 0.03 < p50["a"] < 0.06 < p50["b"]
    assert p50["interval"][0] < p50["difference"] < p50["interval"][1]
    assert p50["margin"] == 0.05
    assert (p95["margin"], p99["interval"]) == (0.1, [None, None])
    assert other["differences"][1]["verdict"] == "better"
    # The p99 of so few requests is unknown.
    assert (other_code, other["verdict"]) == (3, "not_enough_data")


@pytest.mark.timing
def test_failing_probe(tmp_path: Path) -> None:
    """A model that fails is worse, also if there is no latency to compare."""
    with serve(respond_with()) as good, serve(respond_with(ERROR)) as failing:
        code, document = compare(tmp_path, {"a": good, "b": failing}, "--requests=20")
    assert (code, document["verdict"]) == (1, "worse")
    bad, p50 = document["differences"][:2]
    assert (bad["a"], bad["b"], bad["verdict"]) == (0, 1, "worse")
    assert (p50["b"], p50["difference"], p50["verdict"]) == (None, None, "not_enough_data")


@pytest.mark.timing
def test_objective_of_a_counts_for_both(tmp_path: Path) -> None:
    """Slow successes of both sides are bad by the objective of A, also if B has another one."""
    objective = {"name": "fast", "target": "90%", "latency": "20ms"}
    with serve(respond_with(delay=0.001)) as fast, serve(respond_with(delay=0.05)) as slow:
        file = tmp_path / "probe.yml"
        a = {"name": "a", "url": fast, "objectives": [objective]}
        file.write_text(yaml.safe_dump({"probes": [a, {"name": "b", "url": slow}]}))
        flags = ("--now", "--rate=100/s", "--requests=20", f"--config.file={file}")
        done = invoke("compare", "a", "b", *flags, "--output=json")
    document = json.loads(done.stdout)
    assert document["b"] == {"name": "b", "requests": 20, "bad": 20, "reasons": {"slow": 20}}
    assert document["a"]["bad"] <= 5


@pytest.mark.parametrize(
    ("a", "b"),
    [("a", "a@version=1"), ("a@version=1", "a"), ("a@segment=1", "a@version=1")],
)
def test_sides_of_one_probe(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, a: str, b: str
) -> None:
    """Its sides are two values of one dimension."""
    dimension = {"from": "header", "key": "X-Version"}
    config = write_config(tmp_path, {"a": REMOTE}, version=dimension, segment=dimension)
    code, _, err = run_in_process(capsys, "compare", a, b, "--now", config)
    assert code == 2
    assert f"{a} and {b} are requests of one probe; name two values of one dimension" in err


@pytest.mark.timing
def test_versions(tmp_path: Path) -> None:
    """Requests of one probe are counted for the version that responds, or for neither side."""
    numbers = itertools.count()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        number = next(numbers) % 10
        version = 3 if number == 0 else 2 - number % 2
        await asyncio.sleep(0.08 if version == 2 else 0.02)
        writer.write(OK.replace(b"Content-Type", b"X-Version: %d\r\nContent-Type" % version))
        await writer.drain()

    with serve(respond) as url:
        dimension = {"from": "header", "key": "X-Version"}
        config = write_config(tmp_path, {"a": url}, version=dimension)
        flags = ("--now", "--rate=100/s", "--requests=50", "--output=json", config)
        done = invoke("compare", "a@version=1", "a@version=2", *flags)
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"]) == (1, "worse")
    assert document["a"]["name"] == "a@version=1"
    requests = [document[side]["requests"] for side in ("a", "b")]
    assert requests == [pytest.approx(50, abs=3), pytest.approx(40, abs=3)]
    assert document["notes"] == [f"Requests of neither side: {100 - sum(requests)} with 3."]


PAYLOADS = [{"name": "short", "body": "x"}, {"name": "long", "body": 100 * "x"}]


def slow_for_long_bodies(seconds: float) -> Handler:
    """Return a server that takes `seconds` for the long payload, and 10 ms for the short one."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        is_long = int(re.findall(rb"Content-Length: (\d+)", head)[0]) > 10
        await asyncio.sleep(seconds if is_long else 0.01)
        writer.write(OK)
        await writer.drain()

    return respond


@pytest.mark.timing
def test_payloads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The payloads of a probe are sent in turn, and a name that none of them has is an error."""
    with serve(slow_for_long_bodies(0.05)) as url:
        config = write_config(tmp_path, {"a": url}, method="POST", payloads=PAYLOADS)
        flags = ("--now", "--rate=100/s", "--requests=40", "--output=json", config)
        done = invoke("compare", "a@payload=short", "a@payload=long", *flags)
        _, _, err = run_in_process(capsys, "compare", "a@payload=short", "a@payload=huge", *flags)
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"]) == (1, "worse")
    assert [document[side]["requests"] for side in ("a", "b")] == [40, 40]
    assert document["notes"] == []
    assert "a@payload=huge: no such payload; there are: short, long" in err


@pytest.mark.timing
def test_interval_of_payloads(tmp_path: Path) -> None:
    """Without a rate, the interval is the latency of the slower payload of a probe."""
    with serve(slow_for_long_bodies(0.4)) as url:
        config = write_config(tmp_path, {"a": url}, method="POST", payloads=PAYLOADS)
        done = invoke(
            "compare", "a@payload=short", "a@payload=long", "--now", "--requests=5", config
        )
    rate = re.search(r"10 requests at ([0-9.]+)/s", done.stderr)
    assert rate, done.stderr
    assert float(rate[1]) == pytest.approx(2.5, abs=0.3)


def test_notes_of_cold_starts() -> None:
    """Cold starts have another reason than failures of this machine."""
    sides = SideArgument.parse("a"), SideArgument.parse("b")
    results = ResultsBySide(sides, {})
    for result in (
        make_result(probe="a", cold=True),
        make_result(probe="b", reason=Reason.INTERNAL),
        make_result(probe="b"),
    ):
        results.add(result)
    assert results.notes(is_stopped=False) == [
        "1 requests of b are not counted, because this machine failed or was too busy.",
        "1 requests of a are not counted, because they were cold starts.",
    ]


@pytest.mark.parametrize(
    ("versions", "note"),
    [
        (("2", "1", None), "a@version=9: version 9 was not seen; seen: 1, 2."),
        ((None,), "a@version=9: version 9 was not seen; no response had a version."),
    ],
)
def test_notes_of_a_version_without_requests(versions: tuple[str | None, ...], note: str) -> None:
    """The versions that responded are named, so that a mistyped one is seen."""
    results = ResultsBySide((SideArgument.parse("a@version=9"), SideArgument.parse("b")), {})
    for version in versions:
        results.add(make_result(probe="a", version=version))
    results.add(make_result(probe="b", version="9"))
    assert results.notes(is_stopped=False)[0] == note


def test_no_response(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """If both sides fail from the start, there is nothing to compare."""
    dead = "http://127.0.0.1:1/"
    config = write_config(tmp_path, {"a": dead, "b": dead})
    code, out, err = run_in_process(capsys, "compare", "a", "b", "--now", config)
    assert (code, out) == (3, "")
    assert "all of the first requests failed: a: refused, " in err
    assert "; b: refused, " in err


@pytest.mark.timing
def test_interruption_of_the_first_requests(tmp_path: Path) -> None:
    """No further request is sent."""
    received = threading.Event()
    requests = 0

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await reader.readuntil(b"\r\n\r\n")
        requests += 1
        received.set()
        await asyncio.sleep(0.5)
        writer.write(OK)
        await writer.drain()

    with serve(respond) as url:
        config = write_config(tmp_path, {"a": url, "b": url})
        with subprocess.Popen(
            [*COMMAND, "compare", "a", "b", "--now", config],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert received.wait(15)
                process.send_signal(signal.SIGTERM)
                out, err = process.communicate(timeout=15)
            finally:
                process.kill()
    assert (process.returncode, requests) == (3, 1), err
    assert "Interrupted: this is the comparison of the requests until then." in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.timing
def test_interruption(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the measurement, and the result until then is printed."""
    with serve(respond_with(OK)) as url:
        config = write_config(tmp_path, {"a": url, "b": url})
        with subprocess.Popen(
            [*COMMAND, "compare", "a", "b", "--now", "--rate=10/s", config],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stderr
                assert "1000 requests at 10/s, in 1m40s" in process.stderr.readline()
                time.sleep(1)
                process.send_signal(number)
                out, _ = process.communicate(timeout=15)
            finally:
                process.kill()
    assert process.returncode == 3
    assert "Interrupted: this is the comparison of the requests until then." in out
    assert "Verdict: not enough data." in out
    assert "A  a  " in out
