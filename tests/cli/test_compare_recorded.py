"""`inference-probe compare` with a real Prometheus: versions, months, and missing data."""

import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from probe.metrics.histogram import LATENCY_BUCKETS
from tests.commands import run_in_process
from tests.prometheus.processes import backfill, running_prometheus
from tests.raw_servers import Server, always, http_response

SCRAPE_SECONDS, INTERVAL_SECONDS = 120, 10
OBJECTIVE_SECONDS = 0.5
DAY_REQUESTS = 86400 // INTERVAL_SECONDS

LATENCY = "inference_probe_latency_seconds"
DIMENSION = "inference_probe_dimension_duration_seconds"


def recorded(
    metric: str, labels: str, start: float, *, factor: float = 1.0, failures: float = 0.0
) -> Iterator[str]:
    """Yield the scraped histograms of a day whose latencies are log-normal around 100 ms."""
    rng = random.Random(labels)
    bounds = sorted((*LATENCY_BUCKETS, OBJECTIVE_SECONDS, math.inf))
    counts = {outcome: [0] * len(bounds) for outcome in ("success", "failure")}
    for number in range(DAY_REQUESTS + 1):
        if number * INTERVAL_SECONDS % SCRAPE_SECONDS == 0:
            for outcome, buckets in counts.items():
                for bound, count in zip(bounds, buckets, strict=True):
                    le = "+Inf" if math.isinf(bound) else f"{bound:g}"
                    series = f'{metric}_bucket{{{labels},outcome="{outcome}",le="{le}"}}'
                    yield f"{series} {count} {start + number * INTERVAL_SECONDS:.0f}"
                series = f'{metric}_count{{{labels},outcome="{outcome}"}}'
                yield f"{series} {buckets[-1]} {start + number * INTERVAL_SECONDS:.0f}"
        latency = factor * rng.lognormvariate(math.log(0.1), 0.3)
        buckets = counts["failure" if rng.random() < failures else "success"]
        for index, bound in enumerate(bounds):
            buckets[index] += latency <= bound


def counted(labels: str, start: float, *, per_scrape: int) -> Iterator[str]:
    """Yield the scraped histograms of a day in which two versions have the same requests."""
    for version in (1, 2):
        series = f'{labels},dimension="version",value="{version}",outcome="success"'
        for number in range(86400 // SCRAPE_SECONDS + 1):
            sample = f"{number * per_scrape} {start + number * SCRAPE_SECONDS:.0f}"
            yield f"{DIMENSION}_count{{{series}}} {sample}"
            yield f'{DIMENSION}_bucket{{{series},le="+Inf"}} {sample}'


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Prometheus with a day of two versions, and one day in each of two months."""
    directory = tmp_path_factory.mktemp("prometheus")
    now = math.floor(datetime.now(UTC).timestamp())
    yesterday = now - 86400 - SCRAPE_SECONDS
    chat = 'probe="chat",dimension="version",value="{}"'
    october, november = (datetime(2025, month, 5, tzinfo=UTC).timestamp() for month in (10, 11))
    objective = f'slo="fast",signal="latency",threshold="{OBJECTIVE_SECONDS}"}} 0.99 {now - 3600}'
    backfill(
        directory,
        [
            *recorded(DIMENSION, chat.format(1), yesterday),
            *recorded(DIMENSION, chat.format(2), yesterday, factor=1.15),
            *recorded(DIMENSION, chat.format(3), yesterday),
            *counted('probe="twice",namespace="ml",job="a"', yesterday, per_scrape=1),
            *counted('probe="twice",namespace="ml",job="b"', yesterday, per_scrape=2),
            *recorded(LATENCY, 'probe="month"', october),
            *recorded(LATENCY, 'probe="month"', november, failures=0.03),
            *(f'{LATENCY}_count{{probe="chat"}} {count} {now - 7200 + count}' for count in (0, 9)),
            *recorded(DIMENSION, chat.format(1).replace("version", "payload"), yesterday),
            f'inference_probe_slo_objective_ratio{{probe="chat",{objective}',
        ],
    )
    with running_prometheus("prometheus", directory, {}) as url:
        yield url


def test_versions(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """A version that is 15 % slower is worse, and one that is equal is not."""
    flag = f"--prometheus.url={url}"
    code, out, err = run_in_process(
        capsys, "compare", "chat@version=1", "chat@version=2", flag, "--output=json"
    )
    document = json.loads(out)
    assert (code, document["verdict"], err) == (1, "worse", "")
    assert document["a"]["name"] == "chat@version=1, last 1d"
    # An increase is extrapolated to the whole period, of which 2 minutes have no samples.
    assert document["a"]["requests"] == pytest.approx(DAY_REQUESTS, rel=0.01)
    bad, *slower = document["differences"]
    assert bad["verdict"] == "no_difference"
    assert document["notes"] == []
    assert [item["threshold_seconds"] for item in slower] == sorted(
        {item["threshold_seconds"] for item in slower}
    )
    assert any(item["verdict"] == "worse" for item in slower)
    p50 = document["resolution"][0]
    assert p50["a"][0] < 0.1 <= p50["a"][1]

    code, out, _ = run_in_process(capsys, "compare", "chat@version=1", "chat@version=3", flag)
    assert code == 0
    assert "Verdict: no difference is larger than its margin" in out
    assert "p95 by the buckets of the histogram: A " in out


def test_equal_names(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """Requests of two jobs are not added up: the error has the flags that select one of them."""
    arguments = ("compare", "twice@version=1", "twice@version=2", f"--prometheus.url={url}")
    code, out, err = run_in_process(capsys, *arguments)
    assert (code, out) == (2, "")
    flags = "--selector=namespace=ml --selector=job=a, or --selector=namespace=ml --selector=job=b"
    assert f"select one of them: {flags}" in err
    code, out, err = run_in_process(capsys, *arguments, "--selector=job=c")
    assert (code, out) == (2, "")
    assert f"with these labels; there are: {flags}" in err
    for job, requests in (("a", 720), ("b", 1440)):
        selector = (f"--selector=job={job}", "--selector=namespace=ml")
        _, out, err = run_in_process(capsys, *arguments, *selector, "--output=json")
        assert json.loads(out)["a"]["requests"] == pytest.approx(requests, abs=2), err


def test_months(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """The share of failures is compared, too. Without an objective, only failures are bad."""
    code, out, _ = run_in_process(
        capsys,
        "compare",
        "month@2025-10",
        "month@2025-11",
        f"--prometheus.url={url}",
        "--output=json",
    )
    document = json.loads(out)
    assert code == 1
    bad = document["differences"][0]
    assert (bad["a"], bad["verdict"]) == (0, "worse")
    assert bad["b"] == pytest.approx(0.03, abs=0.01)
    assert document["b"]["name"] == "month@2025-11"


@pytest.mark.parametrize(
    ("a", "message"),
    [
        ("chat@version=9", "chat@version=9, last 1d; there are: 1, 2, 3"),
        ("chat@segment=x", "; does the probe have `histogram_by: [segment]`?"),
        ("other@2020-01", ", but it has data of inference-probe from 2025-10-05 to 20"),
    ],
)
def test_no_data(capsys: pytest.CaptureFixture[str], url: str, a: str, message: str) -> None:
    """The message has the values that there are. Missing data is never a worse version."""
    code, out, err = run_in_process(
        capsys, "compare", a, "month@2025-10", f"--prometheus.url={url}"
    )
    assert (code, out) == (3, "")
    assert message in err


@pytest.mark.parametrize(
    ("a", "message"),
    [
        ("other@2025-10", "other@2025-10; there are: month"),
        ("chet@version=1", "chet@version=1, last 1d; there are: chat"),
        ("chat@payload=shrt", "chat@payload=shrt, last 1d; there are: 1"),
    ],
)
def test_unknown_names(capsys: pytest.CaptureFixture[str], url: str, a: str, message: str) -> None:
    """They are bad usage, as in `report --probe` and in `compare --now`."""
    code, out, err = run_in_process(
        capsys, "compare", a, "month@2025-10", f"--prometheus.url={url}"
    )
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("flag", "message"),
    [("--last=1m", "--last: 1m is too short"), ("--last=40000d", "before 1970")],
)
def test_impossible_periods(capsys: pytest.CaptureFixture[str], flag: str, message: str) -> None:
    """They are bad usage, as in `report`, even if there is no server."""
    code, out, err = run_in_process(
        capsys, "compare", "a", "b", flag, "--prometheus.url=http://127.0.0.1:1"
    )
    assert (code, out) == (2, "")
    assert message in err


def test_prometheus_without_probes(capsys: pytest.CaptureFixture[str]) -> None:
    """A server that has never scraped a probe is another one than intended."""
    empty = b'{"status": "success", "data": {"resultType": "vector", "result": []}}'
    with Server(always(http_response(empty))) as server:
        url = server.url("")
        code, out, err = run_in_process(capsys, "compare", "a", "b", f"--prometheus.url={url}")
    assert (code, out) == (3, "")
    assert "no requests of a, last 1d, and no other probe; does it scrape inference-probe?" in err


def test_no_prometheus(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run_in_process(
        capsys, "compare", "a", "b", "--prometheus.url=http://127.0.0.1:1"
    )
    assert (code, out) == (3, "")
    assert "cannot be reached: Connection refused" in err
