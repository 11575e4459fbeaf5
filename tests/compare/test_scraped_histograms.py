"""Counts of a simulated history in a real Prometheus, which are known."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from probe.compare.prometheus_source import read_side
from probe.compare.selection import Selection
from probe.config.choices import Dimension
from probe.prometheus.client import PrometheusClient
from probe.remote_server import RemoteServer
from probe.result import Signal
from tests.prometheus.processes import backfill, running_prometheus
from tests.report.conftest import History
from tests.report.history import THRESHOLD, Life, Replica, Script, lines

HOUR = 3600.0
PERIOD = (1.5 * HOUR, 6 * HOUR)

SCRIPT = Script(
    end=6 * HOUR,
    interval=10,
    scrape_interval=30,
    outages=[(3 * HOUR, 3.5 * HOUR, "http_5xx")],
    # The period begins in the first gap, and the second one has a restart.
    scrape_gaps=[(1.3 * HOUR, 1.7 * HOUR), (4.2 * HOUR, 4.8 * HOUR)],
    noise=20,
    new_version=4 * HOUR,
)


def replaced_objective(replicas: Sequence[Replica], origin: float) -> Iterator[str]:
    """Yield an objective that is stricter than the others, and is in effect for three hours."""
    for replica in replicas:
        labels = f'job="probes",instance="{replica.instance}",probe="chat",slo="old"'
        for life in replica.lives:
            for scrape, _ in life.scraped:
                if scrape < origin + 3 * HOUR:
                    objective = f'{labels},signal="latency",threshold="0.1",alert="page"'
                    yield f"inference_probe_slo_objective_ratio{{{objective}}} 0.99 {scrape:.3f}"


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Run a Prometheus that has scraped two replicas with restarts."""
    directory = tmp_path_factory.mktemp("history")
    origin = float(int(time.time()) - 6 * 3600)
    replicas = [
        Replica("first:10115", [Life(0, 2 * HOUR + 13), Life(2 * HOUR + 25, 6 * HOUR)]),
        Replica("second:10115", [Life(7, 4.5 * HOUR), Life(4.5 * HOUR + 60, 6 * HOUR)]),
    ]
    for replica in replicas:
        replica.run(SCRIPT, origin)
    backfill(directory, [*lines(replicas, SCRIPT, origin), *replaced_objective(replicas, origin)])
    with running_prometheus("prometheus", directory, {}) as url:
        yield History(url=url, origin=origin, script=SCRIPT, replicas=replicas)


@pytest.fixture
def client(history: History) -> Iterator[PrometheusClient]:
    with PrometheusClient(RemoteServer(url=history.url)) as client:
        yield client


@pytest.fixture
def selection(history: History) -> Selection:
    return Selection(
        name="chat",
        probe="chat",
        dimension=None,
        value=None,
        start=history.origin + PERIOD[0],
        end=history.origin + PERIOD[1],
    )


def test_counts(history: History, client: PrometheusClient, selection: Selection) -> None:
    """Each part has the increases of the counters, over restarts, gaps and replicas.

    An objective that was replaced in the period is not in effect at its end.
    """
    progress: list[float] = []
    side = read_side(client, selection, {}, progress.append)
    parts = side.latency.parts
    seconds = (PERIOD[1] - PERIOD[0]) / len(parts)
    assert len(parts) == 20
    for number, counts in enumerate(parts):
        part = PERIOD[0] + number * seconds, PERIOD[0] + (number + 1) * seconds
        assert counts.successes == history.scraped(*part, "fast", "slow"), number
        assert counts.slower(THRESHOLD).count == history.scraped(*part, "slow"), number
        assert counts.failures == history.scraped(*part, "failure"), number
    assert side.requests == history.scraped(*PERIOD, "fast", "slow", "failure") > 2000
    assert side.thresholds == {Signal.LATENCY: {THRESHOLD}}
    assert progress[-1] == selection.end


def test_counts_of_a_version(
    history: History, client: PrometheusClient, selection: Selection
) -> None:
    """A version counts from 0 when it is seen first, and has no time to first token."""
    version = replace(selection, dimension=Dimension.VERSION, value="2")
    side = read_side(client, version, {}, lambda *_: None)
    names = [f"version 2 {name}" for name in ("fast", "slow", "failure")]
    assert side.requests == history.scraped(*PERIOD, *names) > 500
    assert list(side.histograms) == [Signal.LATENCY]
